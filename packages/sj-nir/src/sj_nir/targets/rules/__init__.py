"""Rules that limits refer to: each yields what in a graph violates the limit it is given.

A rule of one's own is a function `(program, limit)` of a :class:`sj_nir.interpreter.Program`, the
graph without nesting and with all shapes, that yields findings.
"""

from .convolution import (
    channels,
    core_memory,
    cores,
    input_size,
    kernel_size,
    output_size,
    padding,
    pooling,
    square_kernel,
    stride,
)
from .order import core_order, destinations
from .precision import weight_bits, weight_steps
from .size import (
    fan_out,
    hidden_neurons,
    input_channels,
    neurons,
    node_types,
    output_neurons,
    reset,
    synapses,
)

__all__ = [
    "channels",
    "core_memory",
    "core_order",
    "cores",
    "destinations",
    "fan_out",
    "hidden_neurons",
    "input_channels",
    "input_size",
    "kernel_size",
    "neurons",
    "node_types",
    "output_neurons",
    "output_size",
    "padding",
    "pooling",
    "reset",
    "square_kernel",
    "stride",
    "synapses",
    "weight_bits",
    "weight_steps",
]
