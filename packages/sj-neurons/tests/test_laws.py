"""The laws that every neuron obeys, run over every class that `sj_neurons.neuron` exports.

A class that cannot obey a law says so, with the reason, in its attribute `waivers`; the reason is
shown in the summary. A class without an entry in `EXAMPLES` fails a test.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from sj_neurons import base, neuron

LAWS = (
    "modes", "reset", "detach", "state_dict", "pickle", "deepcopy", "dtype", "gradcheck",
    "functional", "repr", "compile",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """How the suite builds a neuron, and the shape of its input sequence."""

    build: Callable[[], base.MemoryModule]
    shape: tuple[int, ...] = (6, 2, 3)


def table(size: int = 4) -> neuron.FewSpikeTable:
    halves = [2.0 ** (1 - k) for k in range(size)]
    return neuron.FewSpikeTable(halves, halves, halves)


def with_noise(node: neuron.NoisyBaseNode, channels: int) -> neuron.NoisyBaseNode:
    """The noise is the same for every call, so that two runs can be compared."""
    noise = torch.randn(1, node.T, channels, generator=torch.Generator().manual_seed(3))
    node.load_colored_noise(noise)
    return node


EXAMPLES: dict[type, Example] = {
    neuron.ActivationAwareIFNode: Example(
        lambda: neuron.ActivationAwareIFNode(torch.tensor([1.0, 0.5, 0.7]), 0.1)
    ),
    neuron.CUBALIFNode: Example(neuron.CUBALIFNode),
    neuron.ComplementaryLIFNode: Example(neuron.ComplementaryLIFNode),
    neuron.DSRIFNode: Example(lambda: neuron.DSRIFNode(T=6, v_threshold=1.0)),
    neuron.DSRLIFNode: Example(lambda: neuron.DSRLIFNode(T=6)),
    neuron.EIFNode: Example(neuron.EIFNode),
    neuron.FewSpikeNode: Example(lambda: neuron.FewSpikeNode(table()), (4, 2, 3)),
    neuron.GatedLIFNode: Example(lambda: neuron.GatedLIFNode(T=4, inplane=3), (4, 2, 3, 2, 2)),
    neuron.HGNode: Example(lambda: neuron.HGNode([table(), table()], [0.5]), (4, 2, 3)),
    neuron.HalfThresholdIFNode: Example(neuron.HalfThresholdIFNode),
    neuron.IFNode: Example(neuron.IFNode),
    neuron.ILCCUBALIFNode: Example(lambda: neuron.ILCCUBALIFNode(2, 3), (6, 2, 6)),
    neuron.ILCIFNode: Example(lambda: neuron.ILCIFNode(2, 3), (6, 2, 6)),
    neuron.ILCLIFNode: Example(lambda: neuron.ILCLIFNode(2, 3), (6, 2, 6)),
    neuron.ILIFNode: Example(neuron.ILIFNode),
    neuron.IzhikevichNode: Example(lambda: neuron.IzhikevichNode(a=0.3, b=0.2)),
    neuron.KLIFNode: Example(neuron.KLIFNode),
    neuron.LIAFNode: Example(lambda: neuron.LIAFNode(torch.sigmoid, True)),
    neuron.LIFNode: Example(lambda: neuron.LIFNode(tau=3.0)),
    neuron.MPBNLIFNode: Example(lambda: neuron.MPBNLIFNode(out_features=3), (6, 4, 3)),
    neuron.MaskedPSN: Example(lambda: neuron.MaskedPSN(k=2, T=6, lambda_init=1.0)),
    neuron.NoisyCUBALIFNode: Example(lambda: with_noise(neuron.NoisyCUBALIFNode(3, T=6), 6)),
    neuron.NoisyILCCUBALIFNode: Example(
        lambda: with_noise(neuron.NoisyILCCUBALIFNode(2, 3, T=6), 12), (6, 2, 6)
    ),
    neuron.NoisyNonSpikingIFNode: Example(
        lambda: with_noise(neuron.NoisyNonSpikingIFNode(3, T=6, decode="last-mem"), 3)
    ),
    neuron.NonSpikingIFNode: Example(lambda: neuron.NonSpikingIFNode(decode="mean-mem")),
    neuron.NonSpikingLIFNode: Example(lambda: neuron.NonSpikingLIFNode(decode="max-mem")),
    neuron.OTTTLIFNode: Example(neuron.OTTTLIFNode),
    neuron.OutlierAwareThresholdNode: Example(
        lambda: neuron.OutlierAwareThresholdNode(table(), table(), 1.0), (4, 2, 3)
    ),
    neuron.PSN: Example(lambda: neuron.PSN(T=6)),
    neuron.ParametricLIFNode: Example(neuron.ParametricLIFNode),
    neuron.QIFNode: Example(neuron.QIFNode),
    neuron.RAFNode: Example(neuron.RAFNode),
    neuron.SLTTLIFNode: Example(neuron.SLTTLIFNode),
    neuron.STBIFNeuron: Example(lambda: neuron.STBIFNeuron(0.7, 4)),
    neuron.SlidingPSN: Example(lambda: neuron.SlidingPSN(k=2)),
    neuron.TernaryIFNode: Example(neuron.TernaryIFNode),
    neuron.TernaryLIFNode: Example(neuron.TernaryLIFNode),
}

# what others build on; their subclasses are tested
ABSTRACT: set[type] = {
    neuron.BaseNode,
    neuron.AdaptBaseNode,
    neuron.ILCBaseNode,
    neuron.NoisyBaseNode,
    neuron.NoisyILCBaseNode,
    neuron.NoisyNonSpikingBaseNode,
    neuron.NonSpikingBaseNode,
}


def exported() -> list[type]:
    found = [getattr(neuron, name) for name in neuron.__all__]
    return [cls for cls in found if inspect.isclass(cls) and issubclass(cls, base.MemoryModule)]


CLASSES = [cls for cls in exported() if cls in EXAMPLES]
EVERY_NEURON = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def law(cls: type, name: str) -> None:
    """Skips with the class's own reason if it waives the law."""
    assert name in LAWS
    reason = getattr(cls, "waivers", {}).get(name)
    if reason is not None:
        pytest.skip(f"{cls.__name__} waives {name!r}: {reason}")


def build(cls: type, mode: str | None = None) -> base.MemoryModule:
    torch.manual_seed(0)
    node = EXAMPLES[cls].build()
    node.step_mode = mode or node.supported_step_mode()[-1]
    return node


def modes_of(cls: type) -> tuple[str, ...]:
    return EXAMPLES[cls].build().supported_step_mode()


def input_of(cls: type, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.rand(EXAMPLES[cls].shape, generator=torch.Generator().manual_seed(1))
    return (2 * x).to(dtype)


def run(node: base.MemoryModule, x_seq: Tensor) -> Tensor:
    """The node's output on a sequence, in its own step mode; several outputs are put together."""
    torch.manual_seed(2)
    if node.step_mode == "m":
        return joined(node(x_seq))
    return torch.stack([joined(node(x)) for x in x_seq.unbind(0)])


def joined(y: Tensor | list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return y if isinstance(y, Tensor) else torch.stack(tuple(y))


def same(a: object, b: object) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_every_neuron_is_in_the_suite():
    missing = [cls.__name__ for cls in exported() if cls not in EXAMPLES and cls not in ABSTRACT]
    assert missing == []


@EVERY_NEURON
def test_waivers_name_laws_and_give_reasons(cls):
    waivers = getattr(cls, "waivers", {})
    assert set(waivers) <= set(LAWS)
    assert all(len(reason) > 10 for reason in waivers.values())


@EVERY_NEURON
def test_many_steps_equal_repeated_single_steps(cls):
    law(cls, "modes")
    assert modes_of(cls) == ("s", "m")
    single, multi = build(cls, "s"), build(cls, "m")
    x = input_of(cls)
    assert torch.equal(run(multi, x), run(single, x))
    assert all(map(same, single.memories(), multi.memories()))


@EVERY_NEURON
@pytest.mark.parametrize("training", [True, False])
def test_reset_starts_again(cls, training):
    law(cls, "reset")
    node = build(cls).train(training)
    fresh = dict(node.named_memories())
    x = input_of(cls)
    with torch.no_grad():
        before = copy.deepcopy(node.state_dict())
        first = run(node, x)
        node.load_state_dict(before)  # running statistics are not state between calls
        node.reset()
        assert same(list(fresh.values()), list(node.memories()))
        assert torch.equal(run(node, x), first)


@EVERY_NEURON
def test_detach_cuts_the_past(cls):
    law(cls, "detach")
    node = build(cls)
    early = input_of(cls).requires_grad_(True)
    run(node, early)
    node.detach()
    late = input_of(cls).requires_grad_(True)
    y = run(node, late)
    if y.requires_grad:
        y.sum().backward()
    assert early.grad is None


@EVERY_NEURON
def test_state_dict_round_trips_without_state(cls):
    law(cls, "state_dict")
    node, twin = build(cls), build(cls)
    with torch.no_grad():
        for parameter in node.parameters():
            parameter.mul_(1.1)
    twin.load_state_dict(copy.deepcopy(node.state_dict()))
    memories = {name for name, _ in base.named_memories(node)}
    assert not memories & set(node.state_dict())
    x = input_of(cls)
    assert torch.equal(run(node, x), run(twin, x))


@EVERY_NEURON
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_copies_go_on_from_the_live_state(cls, how):
    law(cls, how)
    node = build(cls)
    x = input_of(cls).requires_grad_(True)
    run(node, x)
    twin = copy.deepcopy(node) if how == "deepcopy" else pickle.loads(pickle.dumps(node))
    assert torch.equal(run(twin, x), run(node, x))


@EVERY_NEURON
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtype_follows_the_input(cls, dtype):
    law(cls, "dtype")
    node = build(cls)
    run(node, input_of(cls))
    node.to(dtype)
    node.reset()
    assert run(node, input_of(cls, dtype)).dtype == dtype


@EVERY_NEURON
def test_device_follows_the_input(cls):
    law(cls, "dtype")
    node = build(cls).to("meta")
    assert run(node, input_of(cls).to("meta")).is_meta
    tensors = [value for value in node.memories() if isinstance(value, Tensor)]
    assert all(value.is_meta for value in tensors)
    assert node.supported_step_mode() == modes_of(cls)


# neurons whose output or reset is not the frame's, as their files say
OTHER_RESETS = (
    neuron.LIAFNode,  # puts out a value, not the spike
    neuron.ComplementaryLIFNode,
    neuron.STBIFNeuron,
    neuron.NoisyBaseNode,  # adds noise to the spike
    neuron.OTTTLIFNode,  # 's' only: keeps no sequence of potentials
    neuron.SLTTLIFNode,
)
FRAMED = [
    cls
    for cls in CLASSES
    if issubclass(cls, neuron.BaseNode)
    and cls.fire is neuron.BaseNode.fire
    and cls.voltage_reset is neuron.BaseNode.voltage_reset
    and not issubclass(cls, OTHER_RESETS)
]


@pytest.mark.parametrize("cls", FRAMED, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("v_reset", [-0.25, None], ids=["hard", "soft"])
def test_reset_rule(cls, v_reset):
    node = build(cls, "m")
    node.v_reset, node.store_v_seq = v_reset, True
    spike = node(1.5 * input_of(cls)).bool()
    assert spike.any() and not spike.all()
    if v_reset is None:
        charged = node.v_seq + spike * node.v_threshold
        assert (charged[spike] >= node.v_threshold - 1e-6).all()
        assert (charged[~spike] < node.v_threshold).all()
    else:
        assert (node.v_seq[spike] == v_reset).all()
        assert (node.v_seq[~spike] < node.v_threshold).all()


@EVERY_NEURON
def test_the_smooth_neuron_passes_gradcheck(cls):
    law(cls, "gradcheck")
    node = build(cls).double()
    for module in node.modules():
        if hasattr(module, "set_spiking_mode"):
            module.set_spiking_mode(False)

    def smooth(x: Tensor) -> Tensor:
        node.reset()
        return run(node, x)

    x = input_of(cls, torch.float64)[:, :2].requires_grad_(True)
    assert torch.autograd.gradcheck(smooth, (x,), eps=1e-7, atol=1e-5)


@EVERY_NEURON
def test_functional_form_equals_the_module(cls):
    law(cls, "functional")
    node, twin = build(cls), build(cls)
    x_seq = input_of(cls)
    x = x_seq if node.step_mode == "m" else x_seq[0]
    states = list(node.memories())
    for _ in range(2):
        torch.manual_seed(3)
        outputs, states = twin.functional_forward((x,), states)
        torch.manual_seed(3)
        assert torch.equal(joined(outputs[0]), joined(joined_first(node(x))))
    assert all(map(same, states, node.memories()))
    assert all(map(same, twin.memories(), build(cls).memories()))


def joined_first(y: Tensor | tuple[Tensor, ...] | list[Tensor]) -> Tensor | list[Tensor]:
    return y[0] if isinstance(y, tuple) else y


@EVERY_NEURON
def test_repr_parses_back(cls):
    law(cls, "repr")
    node = build(cls)
    pairs = re.findall(r"(\w+)=([^,]+?)(?:, |$)", node.extra_repr())
    assert pairs
    for name, text in pairs:
        value = getattr(node, name)
        assert str(value) == text, f"{cls.__name__}.{name} is {value!r}, shown as {text}"


@EVERY_NEURON
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(cls):
    law(cls, "compile")
    for mode in modes_of(cls):
        node = build(cls, mode)
        x_seq = input_of(cls)
        x = x_seq if mode == "m" else x_seq[0]
        torch.compiler.reset()
        reference = node(x)
        node.reset()
        compiled = torch.compile(node, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), reference, rtol=0, atol=0)
