"""Functions on whole networks, on sequences and on single time steps; losses; online learning."""

from .conv_bn_fusion import (
    PackedConvBN,
    fuse_conv_bn_eval_modules,
    fused_conv_bn,
    pack_conv_bn_train_modules,
)
from .convbn2d import (
    fuse_convbn2d,
    fused_conv2d_bias_of_convbn2d,
    fused_conv2d_weight_of_convbn2d,
    scale_fused_conv2d_bias_of_convbn2d,
    scale_fused_conv2d_weight_of_convbn2d,
)
from .initialization import kaiming_normal_conv_linear_weight
from .loss import (
    first_spike_index,
    kernel_dot_product,
    redundant_one_hot,
    set_threshold_margin,
    spike_similar_loss,
    temporal_efficient_training_cross_entropy,
)
from .multi_step import (
    chunk_multi_step_forward,
    delay,
    multi_step_forward,
    seq_to_ann_forward,
    t_last_multi_step_forward,
    t_last_seq_to_ann_forward,
)
from .net import (
    collect_reset_modules,
    detach_net,
    invalidate_reset_cache,
    reset_collected_modules,
    reset_net,
    sequence,
    set_backend,
    set_step_mode,
)
from .online_learning import (
    fptt_online_training,
    fptt_online_training_init_w_ra,
    ottt_online_training,
)
from .step import (
    if_step,
    lif_charge,
    lif_step,
    plif_step,
    voltage_reset,
)

__all__ = [
    "PackedConvBN",
    "chunk_multi_step_forward",
    "collect_reset_modules",
    "delay",
    "detach_net",
    "first_spike_index",
    "fptt_online_training",
    "fptt_online_training_init_w_ra",
    "fuse_conv_bn_eval_modules",
    "fuse_convbn2d",
    "fused_conv2d_bias_of_convbn2d",
    "fused_conv2d_weight_of_convbn2d",
    "fused_conv_bn",
    "if_step",
    "invalidate_reset_cache",
    "kaiming_normal_conv_linear_weight",
    "kernel_dot_product",
    "lif_charge",
    "lif_step",
    "multi_step_forward",
    "ottt_online_training",
    "pack_conv_bn_train_modules",
    "plif_step",
    "redundant_one_hot",
    "reset_collected_modules",
    "reset_net",
    "scale_fused_conv2d_bias_of_convbn2d",
    "scale_fused_conv2d_weight_of_convbn2d",
    "seq_to_ann_forward",
    "sequence",
    "set_backend",
    "set_step_mode",
    "set_threshold_margin",
    "spike_similar_loss",
    "t_last_multi_step_forward",
    "t_last_seq_to_ann_forward",
    "temporal_efficient_training_cross_entropy",
    "voltage_reset",
]
