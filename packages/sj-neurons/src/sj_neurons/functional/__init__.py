"""Functions on whole networks and on sequences."""

from .net import detach_net, reset_net, set_backend, set_step_mode
from .sequence import multi_step_forward, seq_to_ann_forward

__all__ = [
    "detach_net",
    "multi_step_forward",
    "reset_net",
    "seq_to_ann_forward",
    "set_backend",
    "set_step_mode",
]
