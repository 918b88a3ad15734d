"""Step-mode layers, containers and pictures; use as `import sj_layers as layer`.

Shapes: step mode 's' takes one step `[N, *]`, step mode 'm' takes a sequence `[T, N, *]`.
"""

from . import encoding, functional, learning, monitor, rnn
from .attention import (
    ChannelQKAttention,
    MultiDimensionalAttention,
    QKAttention,
    SpikingSelfAttention,
    TemporalWiseAttention,
    TokenQKAttention,
)
from .check import check
from .container import (
    MultiStepContainer,
    SeqToANNContainer,
    StepModeContainer,
    TLastMultiStepContainer,
    TLastSeqToANNContainer,
)
from .dropout import (
    DropConnectLinear,
    Dropout,
    Dropout2d,
)
from .fuse import fuse
from .linear import (
    Linear,
)
from .norm import (
    BatchNormThroughTime1d,
    BatchNormThroughTime2d,
    BatchNormThroughTime3d,
    NeuNorm,
    TemporalEffectiveBatchNorm1d,
    TemporalEffectiveBatchNorm2d,
    TemporalEffectiveBatchNorm3d,
    ThresholdDependentBatchNorm1d,
    ThresholdDependentBatchNorm2d,
    ThresholdDependentBatchNorm3d,
)
from .online import GradwithTrace, OTTTSequential, ReplaceforGrad, SpikeTraceOp
from .print_shape import (
    PrintShapeModule,
)
from .profile import profile
from .recurrent import (
    ElementWiseRecurrentContainer,
    LinearRecurrentContainer,
)
from .spike_count import (
    SpikeCountToBinary,
    TemporalBinSum,
)
from .spike_linear import SpikeLinear
from .synapse import (
    Delay,
    SynapseFilter,
)
from .torch_layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Flatten,
    GroupNorm,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
    Upsample,
)
from .voting import (
    VotingLayer,
)
from .weight_standardization import (
    WSConv2d,
    WSLinear,
)

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "BatchNormThroughTime1d",
    "BatchNormThroughTime2d",
    "BatchNormThroughTime3d",
    "ChannelQKAttention",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Delay",
    "DropConnectLinear",
    "Dropout",
    "Dropout2d",
    "ElementWiseRecurrentContainer",
    "Flatten",
    "GradwithTrace",
    "GroupNorm",
    "Linear",
    "LinearRecurrentContainer",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "MultiDimensionalAttention",
    "MultiStepContainer",
    "NeuNorm",
    "OTTTSequential",
    "PrintShapeModule",
    "QKAttention",
    "ReplaceforGrad",
    "SeqToANNContainer",
    "SpikeCountToBinary",
    "SpikeLinear",
    "SpikeTraceOp",
    "SpikingSelfAttention",
    "StepModeContainer",
    "SynapseFilter",
    "TLastMultiStepContainer",
    "TLastSeqToANNContainer",
    "TemporalBinSum",
    "TemporalEffectiveBatchNorm1d",
    "TemporalEffectiveBatchNorm2d",
    "TemporalEffectiveBatchNorm3d",
    "TemporalWiseAttention",
    "ThresholdDependentBatchNorm1d",
    "ThresholdDependentBatchNorm2d",
    "ThresholdDependentBatchNorm3d",
    "TokenQKAttention",
    "Upsample",
    "VotingLayer",
    "WSConv2d",
    "WSLinear",
    "check",
    "encoding",
    "functional",
    "fuse",
    "learning",
    "monitor",
    "profile",
    "rnn",
]

__version__ = "0.1.0"
