"""Encoders: numbers in, spikes out.

Shapes: step mode 's' takes one step `[N, *]`, step mode 'm' takes a sequence `[T, N, *]`.
"""

from .base import StatefulEncoder, StatelessEncoder
from .delta import DeltaEncoder
from .latency import LatencyEncoder
from .periodic import PeriodicEncoder
from .poisson import PoissonEncoder
from .population import PopEncoder, PopSpikeEncoderDeterministic, PopSpikeEncoderRandom
from .weighted_phase import WeightedPhaseEncoder

__all__ = [
    "DeltaEncoder",
    "LatencyEncoder",
    "PeriodicEncoder",
    "PoissonEncoder",
    "PopEncoder",
    "PopSpikeEncoderDeterministic",
    "PopSpikeEncoderRandom",
    "StatefulEncoder",
    "StatelessEncoder",
    "WeightedPhaseEncoder",
]
