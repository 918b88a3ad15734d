"""Spiking neurons. One family per file; each neuron is written once, as a pure step."""

from .activation_aware import ActivationAwareIFNode
from .adaptive import AdaptBaseNode, IzhikevichNode
from .base import BaseNode
from .complementary import ComplementaryLIFNode
from .cuba_lif import CUBALIFNode
from .dsr import DSRIFNode, DSRLIFNode
from .exponential import EIFNode
from .few_spike import FewSpikeNode, FewSpikeTable, HGNode, OutlierAwareThresholdNode
from .from_step import from_step
from .gated_lif import GatedLIFNode
from .half_threshold import HalfThresholdIFNode
from .ilif import ILIFNode
from .integrate_and_fire import IFNode
from .inter_layer import ILCBaseNode, ILCCUBALIFNode, ILCIFNode, ILCLIFNode
from .klif import KLIFNode
from .liaf import LIAFNode
from .lif import LIFNode
from .mpbn import MPBNLIFNode
from .noisy import (
    NoisyBaseNode,
    NoisyCUBALIFNode,
    NoisyILCBaseNode,
    NoisyILCCUBALIFNode,
    NoisyNonSpikingBaseNode,
    NoisyNonSpikingIFNode,
)
from .non_spiking import NonSpikingBaseNode, NonSpikingIFNode, NonSpikingLIFNode
from .online import OTTTLIFNode, SLTTLIFNode
from .plif import ParametricLIFNode
from .psn import PSN, MaskedPSN, SlidingPSN
from .quadratic import QIFNode
from .resonate import RAFNode
from .st_bif import STBIFNeuron
from .ternary import TernaryIFNode, TernaryLIFNode

__all__ = [
    "PSN",
    "ActivationAwareIFNode",
    "AdaptBaseNode",
    "BaseNode",
    "CUBALIFNode",
    "ComplementaryLIFNode",
    "DSRIFNode",
    "DSRLIFNode",
    "EIFNode",
    "FewSpikeNode",
    "FewSpikeTable",
    "GatedLIFNode",
    "HGNode",
    "HalfThresholdIFNode",
    "IFNode",
    "ILCBaseNode",
    "ILCCUBALIFNode",
    "ILCIFNode",
    "ILCLIFNode",
    "ILIFNode",
    "IzhikevichNode",
    "KLIFNode",
    "LIAFNode",
    "LIFNode",
    "MPBNLIFNode",
    "MaskedPSN",
    "NoisyBaseNode",
    "NoisyCUBALIFNode",
    "NoisyILCBaseNode",
    "NoisyILCCUBALIFNode",
    "NoisyNonSpikingBaseNode",
    "NoisyNonSpikingIFNode",
    "NonSpikingBaseNode",
    "NonSpikingIFNode",
    "NonSpikingLIFNode",
    "OTTTLIFNode",
    "OutlierAwareThresholdNode",
    "ParametricLIFNode",
    "QIFNode",
    "RAFNode",
    "SLTTLIFNode",
    "STBIFNeuron",
    "SlidingPSN",
    "TernaryIFNode",
    "TernaryLIFNode",
    "from_step",
]
