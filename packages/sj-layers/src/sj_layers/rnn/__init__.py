"""Spiking recurrent networks and their cells.

Shapes: cells take one step `[N, input_size]`, networks a sequence `[T, N, input_size]`.
"""

from .base import SpikingRNNBase
from .cell import SpikingRNNCellBase
from .gru import SpikingGRU, SpikingGRUCell
from .lstm import SpikingLSTM, SpikingLSTMCell
from .vanilla import SpikingVanillaRNN, SpikingVanillaRNNCell

__all__ = [
    "SpikingGRU",
    "SpikingGRUCell",
    "SpikingLSTM",
    "SpikingLSTMCell",
    "SpikingRNNBase",
    "SpikingRNNCellBase",
    "SpikingVanillaRNN",
    "SpikingVanillaRNNCell",
]
