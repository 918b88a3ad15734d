"""The monitors of `sj_neurons.monitor`, under the name that networks' code looks for."""

from sj_neurons.monitor import (
    AttributeMonitor,
    BaseMonitor,
    GPUMonitor,
    GradInputMonitor,
    GradOutputMonitor,
    InputMonitor,
    OutputMonitor,
)

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GPUMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "OutputMonitor",
]
