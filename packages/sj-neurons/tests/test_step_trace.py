"""Every scalar recurrence is written once: its step also runs on scalar symbols."""

import math
import operator

import pytest
import torch

from sj_neurons import neuron

THRESHOLD = {"v_threshold": 0.8, "step_mode": "m"}
NODES = [
    neuron.IFNode(**THRESHOLD),
    neuron.LIFNode(3.0, v_reset=-0.2, **THRESHOLD),
    neuron.LIFNode(3.0, False, v_reset=None, detach_reset=True, **THRESHOLD),
    neuron.QIFNode(**THRESHOLD),
    neuron.EIFNode(**THRESHOLD),
    neuron.IzhikevichNode(a=0.3, b=0.2, detach_reset=True, **THRESHOLD),
    neuron.KLIFNode(**THRESHOLD),
    neuron.KLIFNode(scale_reset=True, v_reset=None, **THRESHOLD),
    neuron.LIAFNode(lambda h: 2.0 * h, True, **THRESHOLD),
    neuron.CUBALIFNode(**THRESHOLD),
    neuron.HalfThresholdIFNode(**THRESHOLD),
    neuron.ActivationAwareIFNode(v_offset=0.1, **THRESHOLD),
    neuron.STBIFNeuron(0.4, 8, True, step_mode="m"),
    neuron.ComplementaryLIFNode(**THRESHOLD),
    neuron.TernaryIFNode(**THRESHOLD),
    neuron.TernaryLIFNode(v_reset=None, **THRESHOLD),
    neuron.RAFNode(**THRESHOLD),
]

SCALAR = {
    "exp": math.exp,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "where": lambda condition, a, b: a if condition else b,
    "fire": lambda u, surrogate: float(u >= 0),
    "detach": lambda x: x,
}


class Symbol:
    """One number that answers to arithmetic, comparisons and the vocabulary of `ops` only."""

    def __init__(self, value):
        self.value = value

    def __sj_op__(self, name, args):
        return Symbol(SCALAR[name](*map(plain, args)))

    def __neg__(self):
        return Symbol(-self.value)


def plain(value):
    return value.value if isinstance(value, Symbol) else value


for name in ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge"):
    function = getattr(operator, name)
    setattr(Symbol, f"__{name}__", lambda a, b, f=function: Symbol(f(plain(a), plain(b))))
    setattr(Symbol, f"__r{name}__", lambda a, b, f=function: Symbol(f(plain(b), plain(a))))


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_a_step_on_symbols_gives_the_numbers_of_the_neuron(node, oracle):
    node = node.double()
    x = oracle.x_seq(12, 1)
    expected = node(x).flatten().tolist()
    assert len(set(expected)) > 1

    bare = type(node).__new__(type(node))  # learned parameters become symbols too
    parameters = {key: Symbol(p.item()) for key, p in node.named_parameters(recurse=False)}
    surrogates = {"surrogate_function": getattr(node, "surrogate_function", None)}
    bare.__dict__.update({**vars(node), **surrogates, **parameters})
    node.reset()
    states = [Symbol(value) for value in node.memories()]
    traced = []
    for x_t in x.flatten().tolist():
        spike, *states = bare.step(Symbol(x_t), *states)
        traced.append(plain(spike))
    torch.testing.assert_close(torch.tensor(traced), torch.tensor(expected))


def test_the_symbol_stands_for_a_gated_neuron_with_shared_gates(oracle):
    node = neuron.GatedLIFNode(12).double()
    x = oracle.x_seq(12, 1, 1, 1, 1)
    expected = node(x).flatten().tolist()
    gain = 1 - node.beta.sigmoid() * (1 - node.conduct.sigmoid())
    parameters = {key: Symbol(p.item()) for key, p in node.named_parameters() if p.dim() == 0}
    surrogates = {"surrogate_function": node.surrogate_function}
    bare = neuron.GatedLIFNode.__new__(neuron.GatedLIFNode)
    bare.__dict__.update({**vars(node), **surrogates, **parameters})
    states = [Symbol(0.0), Symbol(0.0)]
    traced = []
    for x_t in (x.flatten() * gain).tolist():
        spike, *states = bare.step(Symbol(x_t), *states)
        traced.append(plain(spike))
    assert traced == expected


def test_ilif_counts_by_the_formula_of_its_surrogate(oracle, monkeypatch):
    def count(u, surrogate):
        return float(min(max(round(u), 0), surrogate.max_spike_count))

    monkeypatch.setitem(SCALAR, "fire", count)
    node = neuron.ILIFNode(step_mode="m").double()
    test_a_step_on_symbols_gives_the_numbers_of_the_neuron(node, oracle)
