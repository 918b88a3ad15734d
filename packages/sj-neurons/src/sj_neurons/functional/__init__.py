"""Functions on whole networks and on sequences."""

from .conv_bn_fusion import fuse_conv_bn_eval_modules, fused_conv_bn
from .net import detach_net, reset_net, set_backend, set_step_mode
from .sequence import multi_step_forward, seq_to_ann_forward

__all__ = [
    "detach_net",
    "fuse_conv_bn_eval_modules",
    "fused_conv_bn",
    "multi_step_forward",
    "reset_net",
    "seq_to_ann_forward",
    "set_backend",
    "set_step_mode",
]
