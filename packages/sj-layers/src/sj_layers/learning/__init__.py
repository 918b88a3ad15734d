"""Learning from spike timing, with and without reward: learners, and the rules as functions."""

from .reward_stdp import MSTDPETLearner, MSTDPLearner
from .single_step import (
    mstdp_linear_single_step,
    mstdpet_linear_single_step,
    stdp_conv1d_single_step,
    stdp_conv2d_single_step,
    stdp_linear_single_step,
    stdp_multi_step,
)
from .stdp import STDPLearner

__all__ = [
    "MSTDPETLearner",
    "MSTDPLearner",
    "STDPLearner",
    "mstdp_linear_single_step",
    "mstdpet_linear_single_step",
    "stdp_conv1d_single_step",
    "stdp_conv2d_single_step",
    "stdp_linear_single_step",
    "stdp_multi_step",
]
