"""What is compared: one multi-step LIF layer of several libraries, and all of our own neurons.

A contender is a function from an input sequence `[T, N]` to spikes `[T, N]` that starts at rest.
The LIF: tau 2, hard reset to 0, reset detached, threshold 1, ATan surrogate with alpha 2. Not all
libraries have this very model: snntorch has no input gain of 1/tau and resets one step later, norse
has the SuperSpike surrogate, and sinabs an exponential one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sj_neurons import neuron, ops, surrogate

__all__ = ["PEERS", "Case", "all_neurons", "lif_layers", "our_lif"]

Layer = Callable[[Tensor], Tensor]

PEERS = ("spikingjelly", "snntorch", "norse", "sinabs")


def our_lif(backend: str) -> neuron.LIFNode:
    """The LIF neuron of all comparisons."""
    return neuron.LIFNode(
        2.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m", backend=backend
    )


def from_rest(node: Any) -> Layer:
    """`node` as a function that forgets between calls."""

    def run(x_seq: Tensor) -> Tensor:
        node.reset()
        return node(x_seq)

    return run


def lif_layers(
    backends: tuple[str, ...] = ("cpp", "torch"), device: str = "cpu"
) -> dict[str, Layer]:
    """Our backends and the peers that can be imported, by name."""
    layers = {backend: from_rest(our_lif(backend)) for backend in backends}
    makers = {"spikingjelly": _spikingjelly, "snntorch": _snntorch, "norse": _norse,
              "sinabs": _sinabs}  # fmt: skip
    for name in PEERS:
        try:
            layers[name] = makers[name](device)
        except ImportError:
            continue
    return layers


def _spikingjelly(device: str) -> Layer:
    from spikingjelly.activation_based import neuron as theirs  # pyright: ignore
    from spikingjelly.activation_based import surrogate as gradients  # pyright: ignore

    return from_rest(
        theirs.LIFNode(
            tau=2.0, surrogate_function=gradients.ATan(), detach_reset=True, step_mode="m"
        ).to(device)
    )


def _snntorch(device: str) -> Layer:
    import snntorch  # pyright: ignore
    from snntorch import surrogate as gradients  # pyright: ignore

    cell = snntorch.Leaky(beta=0.5, spike_grad=gradients.atan(alpha=2.0), reset_mechanism="zero")
    cell.to(device)

    def run(x_seq: Tensor) -> Tensor:
        v = torch.zeros_like(x_seq[0])
        spikes = []
        for x in x_seq.unbind(0):
            spike, v = cell(x, v)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def _norse(device: str) -> Layer:
    from norse.torch import LIFBoxCell, LIFBoxParameters  # pyright: ignore

    cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(500.0)), dt=0.001)  # 1 / tau
    cell.to(device)

    def run(x_seq: Tensor) -> Tensor:
        state = None
        spikes = []
        for x in x_seq.unbind(0):
            spike, state = cell(x, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def _sinabs(device: str) -> Layer:
    from sinabs import activation, layers  # pyright: ignore

    cell = layers.LIF(
        tau_mem=1 / math.log(2),  # a decay of 1/2 per step
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
    ).to(device)

    def run(x_seq: Tensor) -> Tensor:
        cell.reset_states()
        return cell(x_seq.unsqueeze(0)).squeeze(0)  # theirs is [batch, T, N]

    return run


@dataclass(frozen=True)
class Case:
    """One of our neurons: how to make it, and the shape `[N, *]` of a step of N neurons."""

    name: str
    make: Callable[[int], Any]  # of the number of time steps, which some neurons must know
    shape: Callable[[int], tuple[int, ...]] = lambda N: (N,)


_CHANNELS = 64


def _image(N: int) -> tuple[int, ...]:
    """Four images of 64 channels."""
    return (4, _CHANNELS, 16, N // (4 * _CHANNELS * 16))


def adaptive(x: Any, v: Any, threshold: Any, tau: Any, jump: Any) -> tuple[Any, Any, Any]:
    """A neuron that a user might write: its threshold rises with each spike."""
    h = v + (x - v) / tau
    spike = ops.fire(h - threshold, surrogate.ATan())
    return spike, (1.0 - spike) * h, 0.9 * threshold + 0.1 + jump * spike


Adaptive = neuron.from_step(
    adaptive, states={"v": 0.0, "threshold": 1.0}, params={"tau": 2.0, "jump": 0.1}
)


def _channel(value: float) -> Tensor:
    return torch.full((_CHANNELS, 1, 1), value)


# arguments of the neurons that cannot be made without any, or are most telling with some
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "GatedLIFNode": {"inplane": _CHANNELS},
    "LIAFNode": {"act": torch.relu, "threshold_related": True},
    "STBIFNeuron": {"q_threshold": 1.0, "level": 8},
}
_IMAGES = frozenset({"GatedLIFNode"})


def all_neurons() -> Iterator[Case]:
    """Every neuron whose step is a scalar recurrence, and some variants of the LIF."""
    for name in sorted(neuron.__all__):
        cls = getattr(neuron, name)
        if not (inspect.isclass(cls) and issubclass(cls, neuron.BaseNode)):
            continue
        case = Case(name, _maker(cls, _ARGUMENTS.get(name, {})), _image_or_row(name))
        if _is_fused(case):
            yield case
    yield Case("LIFNode, soft reset", _maker(neuron.LIFNode, {"v_reset": None}))
    yield Case("LIFNode, reset detached", _maker(neuron.LIFNode, {"detach_reset": True}))
    yield Case(
        "LIFNode, threshold per channel",
        _maker(neuron.LIFNode, {"v_threshold": _channel(1.0)}),
        _image,
    )
    yield Case("from_step: adaptive threshold", _maker(Adaptive, {}))


def _image_or_row(name: str) -> Callable[[int], tuple[int, ...]]:
    return _image if name in _IMAGES else lambda N: (N,)


def _maker(cls: type, arguments: dict[str, Any]) -> Callable[[int], Any]:
    if "T" in inspect.signature(cls).parameters:
        return lambda T: cls(T=T, **arguments, step_mode="m")
    return lambda T: cls(**arguments, step_mode="m")


def _is_fused(case: Case) -> bool:
    try:
        node = case.make(1)
        node.backend = "cpp"
    except (TypeError, ValueError, NotImplementedError):
        return False
    return True
