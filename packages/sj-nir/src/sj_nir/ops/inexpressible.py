"""Why NIR 1.0.8 cannot say what a module does, and what to use instead.

Subclasses share the reason of their base.
"""

from __future__ import annotations

from torch import nn

import sj_layers as layer
from sj_layers import encoding, rnn
from sj_neurons import neuron

__all__ = ["reason_against"]

_ACTIVATION = "NIR has no activation function of this kind; use a spiking neuron"
_MAXIMUM = "NIR has no maximum pooling; use AvgPool2d"
_NORM = "NIR has no normalisation by values of the sample; use BatchNorm right after a layer"
_RANK = "NIR has one- and two-dimensional layers only"
_RESIZED = "NIR has no layer that makes samples larger"
_ATTENTION = "NIR has no attention: it cannot multiply two signals"
_TIME = "it looks at several time steps at once, or treats each in its own way"
_RECURRENT = "its gates multiply signals; use neurons in a loop"
_ENCODER = "NIR has no encoders; export the network behind it, and encode its input outside"
_CODE = "its spikes code a number by their place in a fixed period, which NIR cannot say"
_NOISE = "NIR has no noise"
_STATES = "NIR has no neuron with these states; IF, LIF and CUBALIF neurons can be exported"
_CHARGE = "NIR has no neuron with this charge; IF, LIF and CUBALIF neurons can be exported"
_OUTPUT = "it puts out other values than the spikes 0 and 1"
_WITHIN = "its neurons are connected among themselves; use a Linear in a loop around an IF or LIF"
_ONLINE = "it belongs to online training; export the modules that it holds, in eval mode"

_GROUPS: dict[str, tuple[type[nn.Module], ...]] = {
    _ACTIVATION: (
        nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU,
        nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish,
        nn.Hardsigmoid, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Threshold, nn.GLU,
    ),
    _MAXIMUM: (
        nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
        nn.AdaptiveMaxPool3d, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d,
    ),
    _NORM: (
        nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
        nn.LocalResponseNorm, layer.NeuNorm,
    ),
    _RANK: (nn.Conv3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.BatchNorm3d),
    _RESIZED: (
        nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Upsample, nn.MaxUnpool1d,
        nn.MaxUnpool2d, nn.MaxUnpool3d, nn.PixelShuffle,
    ),
    _ATTENTION: (
        nn.MultiheadAttention, layer.SpikingSelfAttention, layer.QKAttention,
        layer.ChannelQKAttention, layer.TokenQKAttention, layer.TemporalWiseAttention,
        layer.MultiDimensionalAttention,
    ),
    _TIME: (
        neuron.PSN, neuron.MaskedPSN, neuron.SlidingPSN, layer.BatchNormThroughTime1d,
        layer.BatchNormThroughTime2d, layer.BatchNormThroughTime3d,
        layer.TemporalEffectiveBatchNorm1d, layer.TemporalEffectiveBatchNorm2d,
        layer.TemporalEffectiveBatchNorm3d, layer.TemporalBinSum, layer.SpikeCountToBinary,
    ),
    _RECURRENT: (nn.RNNBase, nn.RNNCellBase, rnn.SpikingRNNBase, rnn.SpikingRNNCellBase),
    _ENCODER: (
        encoding.StatelessEncoder, encoding.StatefulEncoder, encoding.DeltaEncoder,
        encoding.PopEncoder, encoding.PopSpikeEncoderDeterministic, encoding.PopSpikeEncoderRandom,
    ),
    _CODE: (neuron.FewSpikeNode, neuron.OutlierAwareThresholdNode),
    _NOISE: (
        neuron.NoisyBaseNode, neuron.NoisyILCBaseNode, neuron.NoisyNonSpikingBaseNode,
        layer.DropConnectLinear,
    ),
    _STATES: (
        neuron.AdaptBaseNode, neuron.RAFNode, neuron.ComplementaryLIFNode, neuron.STBIFNeuron,
    ),
    _CHARGE: (
        neuron.EIFNode, neuron.QIFNode, neuron.KLIFNode, neuron.GatedLIFNode,
    ),
    _OUTPUT: (
        neuron.LIAFNode, neuron.ILIFNode, neuron.TernaryIFNode, neuron.TernaryLIFNode,
        neuron.DSRIFNode, neuron.DSRLIFNode,
    ),
    _WITHIN: (neuron.ILCBaseNode,),
    _ONLINE: (layer.GradwithTrace, layer.SpikeTraceOp, layer.OTTTSequential),
    "it decays only where no spike comes in; use sj_nir.modules.LI": (layer.SynapseFilter,),
    "time is its last axis; move it to the front": (
        layer.TLastMultiStepContainer, layer.TLastSeqToANNContainer,
    ),
    "NIR pads with zeros, and only inside of convolutions and pooling; use their padding": (
        nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ReflectionPad1d,
        nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    ),
    "NIR can only merge axes": (nn.Unflatten, nn.Fold, nn.Unfold),
    "NIR has no table of vectors; export the network behind it": (nn.Embedding, nn.EmbeddingBag),
}  # fmt: skip
_REASONS = {kind: reason for reason, kinds in _GROUPS.items() for kind in kinds}


def reason_against(module: nn.Module) -> str | None:
    """Why the module cannot be exported, as far as it is one of the known kinds."""
    return next((_REASONS[kind] for kind in type(module).__mro__ if kind in _REASONS), None)
