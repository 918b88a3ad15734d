"""Plasticity rules and stateful layers as pure functions of one time step.

A function reads nothing but its arguments and returns what is new; the states it takes are those
that the class of the same name keeps.
"""

from .neunorm import neunorm_step
from .reward_stdp import mstdp_linear_step, mstdpet_linear_step, mstdpet_reward_step
from .stdp import stdp_conv1d_step, stdp_conv2d_step, stdp_linear_step
from .synapse import delay_step, synapse_filter_step

__all__ = [
    "delay_step",
    "mstdp_linear_step",
    "mstdpet_linear_step",
    "mstdpet_reward_step",
    "neunorm_step",
    "stdp_conv1d_step",
    "stdp_conv2d_step",
    "stdp_linear_step",
    "synapse_filter_step",
]
