"""What the spiking transformers share: neurons, time axis, attention, MLP, blocks and the head.

    attention   y = neuron(scale (V K^T) Q)      Q, K, V spikes [T, N, heads, d, L], no softmax
    block       x = x + attention(x);  x = x + MLP(x)
    head        scores[t] = linear(mean over places of x[t])

Shapes: images [N, C, H, W], maps [T, N, C, H, W], tokens [T, N, C, L] with L = H W. A branch ends
in a neuron and adds spikes to its input, or begins with one (the membrane shortcut) and adds
currents.

Source: Zhou et al., "Spikformer: when spiking neural network meets transformer", ICLR 2023.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from torch import Tensor, fx, nn

import sj_layers as layer
from sj_neurons import functional
from sj_neurons.base import MultiStepModule
from sj_neurons.neuron import LIFNode

from .classifier import positive
from .neurons import NeuronFactory, NeuronSpec
from .output import Output, checked_output, read_out

__all__ = [
    "ConvMLP",
    "MembraneSelfAttention",
    "Neurons",
    "SpikingSelfAttention",
    "SpikingTransformer",
    "TimeAxis",
    "TokenMixer",
    "TransformerBlock",
    "attend",
    "conv_norm",
    "mlp_width",
    "pooling",
    "projection",
    "sized",
]

ATTENTION_THRESHOLD = 0.5
Model = TypeVar("Model", bound=nn.Module)


class Neurons:
    """Makes the neurons of a transformer; those behind an attention product have threshold 0.5.

    Args:
        model: class or name of the model, for error messages.
        spiking_neuron: neuron class, name or config; LIF with tau 2 and detached reset if `None`.
        arguments: arguments of the neuron.

    Raises:
        TypeError: no neuron, or arguments that it does not take.
        ValueError: an unknown name.
    """

    def __init__(
        self, model: str | type, spiking_neuron: NeuronSpec | None, arguments: Mapping[str, Any]
    ) -> None:
        if spiking_neuron is None:
            spiking_neuron = LIFNode
            arguments = {"tau": 2.0, "detach_reset": True, **arguments}
        self._factory = NeuronFactory(model, spiking_neuron, arguments)
        self._attention = self._factory.with_arguments(v_threshold=ATTENTION_THRESHOLD)

    def __call__(self) -> nn.Module:
        return self._factory()

    def attention(self) -> nn.Module:
        """The neuron behind an attention product; one that takes no threshold keeps its own."""
        return self._attention()


class TimeAxis(nn.Module, MultiStepModule):
    """Repeats an image `[N, C, H, W]` for T steps; a sequence `[T, N, C, H, W]` passes as it is.

    The repeated steps share memory, and layers that meet equal steps compute one.

    Args:
        T: time steps of an image.
        in_channels: channels C.
        size: height and width of the images; any if `None`.
        fixed: refuse sequences of another T.

    Raises:
        ValueError: neither of the two shapes, or another number of channels, pixels or steps.
    """

    def __init__(
        self,
        T: int,
        in_channels: int,
        size: tuple[int, int] | None = None,
        *,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        self.T, self.in_channels, self.size, self.fixed = T, in_channels, size, fixed
        self.step_mode = "m"

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() not in (4, 5) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"expected images [N, C, H, W] or a sequence [T, N, C, H, W] with "
                f"C={self.in_channels} channels, got shape {tuple(x.shape)}"
            )
        if self.size is not None and x.shape[-2:] != self.size:
            height, width = self.size
            raise ValueError(
                f"expected images of {height} x {width} pixels, got shape {tuple(x.shape)}"
            )
        if self.fixed and x.dim() == 5 and len(x) != self.T:
            raise ValueError(f"expected T={self.T} time steps, got shape {tuple(x.shape)}")
        return x if x.dim() == 5 else x.unsqueeze(0).expand(self.T, -1, -1, -1, -1)

    def extra_repr(self) -> str:
        of_images = "" if self.size is None else f", size={self.size}"
        return f"T={self.T}, in_channels={self.in_channels}{of_images}"


def pooling(stride: int = 2) -> nn.Module:
    """Max-pooling 3x3 that halves height and width."""
    return layer.MaxPool2d(3, stride, padding=1)


def conv_norm(
    cin: int,
    cout: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Convolution of maps that keeps their size (at stride 1), and its normalisation."""
    conv = layer.Conv2d(
        cin, cout, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=bias
    )
    return conv, layer.BatchNorm2d(cout)


def projection(cin: int, cout: int, *, bias: bool = False) -> nn.Sequential:
    """Linear map of the channels of tokens `[T, N, C, L]`, normalised."""
    return nn.Sequential(layer.Conv1d(cin, cout, 1, bias=bias), layer.BatchNorm1d(cout))


@fx.wrap
def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`v k^T q` of `[..., d, L]`, multiplied in the cheaper order.

    `v k^T` first costs L d^2 and needs a d x d matrix, `k^T q` first costs d L^2 and needs L x L.
    Both are exact where the entries are small whole numbers, as spikes are.
    """
    d_k, d_v, tokens = q.shape[-2], v.shape[-2], q.shape[-1]
    if 2 * d_k * d_v <= tokens * (d_k + d_v):
        return (v @ k.transpose(-2, -1)) @ q
    return v @ (k.transpose(-2, -1) @ q)


class TokenMixer(nn.Module):
    """Base of the attentions: the heads share out the channels of `[T, N, C, L]`.

    Raises:
        ValueError: `dim` is not a multiple of `num_heads`.
    """

    scale: float = 0.125

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        positive(type(self).__name__, num_heads=num_heads)
        if dim % num_heads:
            raise ValueError(
                f"{type(self).__name__}: the channels must be a multiple of num_heads, "
                f"got {dim} channels and num_heads={num_heads}"
            )
        self.dim, self.num_heads = dim, num_heads

    def per_head(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """`[T, N, parts C, L]` as `parts` tensors `[T, N, heads, C / heads, L]`."""
        return x.unflatten(2, (parts, self.num_heads, -1)).unbind(2)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Currents `scale v k^T q` of `[T, N, heads, d, L]`."""
        return attend(q, k, v) * self.scale

    def extra_repr(self) -> str:
        return f"dim={self.dim}, num_heads={self.num_heads}"


class SpikingSelfAttention(TokenMixer):
    """Spiking self-attention on `[T, N, C, *]`: `neuron(0.125 v k^T q)`, projected.

    Args:
        dim: channels C.
        num_heads: heads; divides `dim`.
        neurons: makes the neurons.
    """

    def __init__(self, dim: int, num_heads: int, neurons: Neurons) -> None:
        super().__init__(dim, num_heads)
        self.qkv_conv_bn = projection(dim, 3 * dim)
        self.qkv_lif = neurons()
        self.attn_lif = neurons.attention()
        self.proj_conv_bn = projection(dim, dim)
        self.proj_lif = neurons()

    def forward(self, x_seq: Tensor) -> Tensor:
        q, k, v = self.per_head(self.qkv_lif(self.qkv_conv_bn(x_seq.flatten(3))), 3)
        mixed = self.attn_lif(self.mix(q, k, v))
        y = self.proj_lif(self.proj_conv_bn(mixed.flatten(2, 3)))
        return y.reshape(x_seq.shape)


class MembraneSelfAttention(TokenMixer):
    """:class:`SpikingSelfAttention` for membrane shortcuts: a neuron first, none at the end."""

    def __init__(self, dim: int, num_heads: int, neurons: Neurons) -> None:
        super().__init__(dim, num_heads)
        self.input_lif = neurons()
        self.qkv = projection(dim, 3 * dim)
        self.qkv_lif = neurons()
        self.attn_lif = neurons.attention()
        self.proj = projection(dim, dim, bias=True)

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes = self.input_lif(x_seq).flatten(3)
        q, k, v = self.per_head(self.qkv_lif(self.qkv(spikes)), 3)
        mixed = self.attn_lif(self.mix(q, k, v).flatten(2, 3))
        return self.proj(mixed).reshape(x_seq.shape)


def mlp_width(dim: int, mlp_ratio: float) -> int:
    """Channels of the hidden layer of an MLP.

    Raises:
        ValueError: none are left.
    """
    hidden = int(dim * mlp_ratio)
    if hidden < 1:
        raise ValueError(f"mlp_ratio must give at least one of {dim} channels, got {mlp_ratio}")
    return hidden


class ConvMLP(nn.Module):
    """Two convolutions over channels with a wider layer between, on `[T, N, C, *]`.

    Args:
        dim: channels C.
        mlp_ratio: width of the hidden layer, in C.
        neurons: makes the neurons.
        maps: convolve maps `[T, N, C, H, W]` rather than tokens `[T, N, C, L]`.
        neuron_first: neuron, convolution, norm instead of convolution, norm, neuron.
        kernel_size: of the convolutions of maps.
        bias: whether they have one.
    """

    def __init__(
        self,
        dim: int,
        mlp_ratio: float,
        neurons: Neurons,
        *,
        maps: bool = True,
        neuron_first: bool = True,
        kernel_size: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.neuron_first = neuron_first
        hidden = mlp_width(dim, mlp_ratio)
        if maps:
            self.fc1, self.bn1 = conv_norm(dim, hidden, kernel_size, bias=bias)
        else:
            self.fc1, self.bn1 = projection(dim, hidden, bias=bias)
        self.lif1 = neurons()
        if maps:
            self.fc2, self.bn2 = conv_norm(hidden, dim, kernel_size, bias=bias)
        else:
            self.fc2, self.bn2 = projection(hidden, dim, bias=bias)
        self.lif2 = neurons()

    def forward(self, x_seq: Tensor) -> Tensor:
        if self.neuron_first:
            hidden = self.bn1(self.fc1(self.lif1(x_seq)))
            return self.bn2(self.fc2(self.lif2(hidden)))
        hidden = self.lif1(self.bn1(self.fc1(x_seq)))
        return self.lif2(self.bn2(self.fc2(hidden)))


class TransformerBlock(nn.Module):
    """Attention and MLP, each added to its input."""

    def __init__(self, attn: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.mlp = mlp

    def forward(self, x_seq: Tensor) -> Tensor:
        x_seq = x_seq + self.attn(x_seq)
        return x_seq + self.mlp(x_seq)


class SpikingTransformer(nn.Module):
    """Base of the transformers: images or a sequence in, class scores `[T, N, classes]` out.

    A subclass makes its layers between `super().__init__` and `add_head`, and defines `features`.

    Args:
        T: time steps of an image.
        in_channels: channels of the input.
        output: `'steps'` (scores of all time steps), `'mean'` over time or the `'last'` step.
        widths: numbers to be checked, by name, each with what it must be a multiple of.

    Raises:
        ValueError: a number out of range, or an unknown `output`.
    """

    first_layers: tuple[str, ...] = ()  # as a SpikingClassifier's
    last_layer: ClassVar[str] = "head"

    def __init__(self, T: int, in_channels: int, output: Output, **widths: tuple[int, int]) -> None:
        super().__init__()
        model = type(self).__name__
        positive(model, T=T, in_channels=in_channels)
        for name, (value, divisor) in widths.items():
            positive(model, **{name: value})
            if value % divisor:
                raise ValueError(f"{model}: {name} must be a multiple of {divisor}, got {value}")
        self.output: Output = checked_output(model, output)
        self.time_axis = TimeAxis(T, in_channels)

    def add_head(self, dim: int, num_classes: int, head_lif: nn.Module | None = None) -> None:
        """The layers after the last block; everything is set to step mode 'm'."""
        positive(type(self).__name__, num_classes=num_classes)
        self.head_lif = head_lif
        self.head = layer.Linear(dim, num_classes)
        functional.set_step_mode(self, "m")

    def features(self, x_seq: Tensor) -> Tensor:
        """Features `[T, N, D, *]` of a sequence `[T, N, C, H, W]`."""
        raise NotImplementedError(f"{type(self).__name__} defines no features")

    def forward(self, x: Tensor) -> Tensor:
        y = self.features(self.time_axis(x)).flatten(3).mean(3)
        if self.head_lif is not None:
            y = self.head_lif(y)
        return read_out(self.head(y), self.output)


def sized(model: type[Model], name: str, summary: str, **size: Any) -> Callable[..., Model]:
    """A builder of `model` whose arguments are those of the class with the defaults in `size`."""
    signature = inspect.signature(model)
    parameters = [
        parameter.replace(default=size.get(parameter.name, parameter.default))
        for parameter in signature.parameters.values()
    ]
    signature = signature.replace(parameters=parameters, return_annotation=model)

    def build(*args: Any, **kwargs: Any) -> Model:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return model(*given.args, **given.kwargs)

    build.__name__ = build.__qualname__ = name
    build.__module__ = model.__module__
    build.__doc__ = f"""{summary}

    Takes the arguments of :class:`{model.__name__}`.
    """
    build.__dict__["__signature__"] = signature
    return build
