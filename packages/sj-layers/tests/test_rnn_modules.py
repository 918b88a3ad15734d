"""Spiking recurrent networks as modules: dropout, parameters, dtypes, copies, errors."""

import copy
import inspect
import pickle

import pytest
import torch

import sj_layers.rnn as rnn
from sj_layers.rnn import (
    SpikingGRU,
    SpikingGRUCell,
    SpikingLSTM,
    SpikingLSTMCell,
    SpikingRNNBase,
    SpikingRNNCellBase,
    SpikingVanillaRNN,
    SpikingVanillaRNNCell,
)
from sj_neurons.surrogate import ATan, Erf

T, N, IN, H = 6, 3, 5, 4
NETWORKS = {"vanilla": SpikingVanillaRNN, "lstm": SpikingLSTM, "gru": SpikingGRU}
CELLS = {"vanilla": SpikingVanillaRNNCell, "lstm": SpikingLSTMCell, "gru": SpikingGRUCell}
EVERY = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(T, N, IN, dtype=torch.float64)


def _tuple(states):
    return states if isinstance(states, tuple) else (states,)


# dropout


def _dropping(invariant, p=0.5):
    net = SpikingVanillaRNN(8, 64, 2, dropout_p=p, invariant_dropout_mask=invariant)
    seen = []
    net.cells[1].linear_ih.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    return net, seen


@pytest.mark.parametrize("invariant", [False, True])
def test_dropout_between_layers(invariant):
    net, seen = _dropping(invariant)
    with torch.no_grad():
        net.cells[0].linear_ih.bias.fill_(100.0)  # the first layer always fires
    x = torch.rand(20, 16, 8)
    y, _ = net(x)
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (seen[0] > 0).float().mean() < 0.6
    assert (seen[0] == seen[0][0]).all() == invariant
    assert set(y.unique().tolist()) == {0.0, 1.0}  # nothing is dropped behind the last layer
    net(x)
    assert not torch.equal(seen[0], seen[1])
    net.eval()
    net(x)
    assert (seen[2] == 1).all()


def test_one_layer_drops_nothing():
    net = SpikingGRU(IN, H, 1, dropout_p=0.9)
    x = torch.randn(T, N, IN)
    assert torch.equal(net(x)[0], net.eval()(x)[0])


# parameters


@EVERY
def test_parameters_have_the_documented_names_and_sizes(name):
    gates = {"vanilla": 1, "lstm": 4, "gru": 3}[name]
    net = NETWORKS[name](IN, H, 2, bidirectional=True)
    expected = {}
    for direction in ("cells", "cells_reverse"):
        for layer, size in enumerate((IN, 2 * H)):
            cell = f"{direction}.{layer}"
            expected[f"{cell}.linear_ih.weight"] = (gates * H, size)
            expected[f"{cell}.linear_ih.bias"] = (gates * H,)
            expected[f"{cell}.linear_hh.weight"] = (gates * H, H)
            expected[f"{cell}.linear_hh.bias"] = (gates * H,)
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == expected
    assert len(NETWORKS[name](IN, H, 1).state_dict()) == 4
    assert len(NETWORKS[name](IN, H, 1, bias=False).state_dict()) == 2


@EVERY
def test_parameters_are_drawn_within_their_bound(name):
    cell = CELLS[name](7, 100)
    for parameter in cell.parameters():
        assert 0.08 < parameter.abs().max() <= 0.1
    before = cell.weight_hh().clone()
    cell.reset_parameters()
    assert not torch.equal(cell.weight_hh(), before)


@EVERY
def test_weights_can_be_asked_for(name):
    cell = CELLS[name](IN, H)
    assert cell.weight_ih() is cell.linear_ih.weight
    assert cell.weight_hh() is cell.linear_hh.weight
    assert cell.bias_ih() is cell.linear_ih.bias
    assert cell.bias_hh() is cell.linear_hh.bias
    assert CELLS[name](IN, H, bias=False).bias_ih() is None


@EVERY
def test_default_surrogates_are_not_shared_and_given_ones_are(name):
    attribute = "surrogate_function" if name == "vanilla" else "surrogate_function1"
    first, second = (getattr(cell, attribute) for cell in NETWORKS[name](IN, H, 2).cells)
    assert first is not second
    assert isinstance(first, Erf)
    given = ATan()
    net = NETWORKS[name](IN, H, 2, **{attribute: given})
    assert all(getattr(cell, attribute) is given for cell in net.cells)


# dtypes, copies, compiled code


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtype_is_that_of_the_input(name, dtype):
    net = NETWORKS[name](IN, H, 2).to(dtype)
    y, states = net(torch.randn(T, N, IN, dtype=dtype))
    assert {y.dtype, *(state.dtype for state in _tuple(states))} == {dtype}


@EVERY
def test_autocast(name):
    net = NETWORKS[name](IN, H, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = net(torch.randn(T, N, IN))
    y.float().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@EVERY
def test_copies_compute_the_same(name, x):
    net = NETWORKS[name](IN, H, 2, bidirectional=True).double()
    y, _ = net(x)
    for clone in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(clone(x)[0], y)


@EVERY
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(name, x):
    net = NETWORKS[name](IN, H, 1, bidirectional=True).double()
    torch.compiler.reset()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x[:2]), net(x[:2]))


@pytest.mark.gpu
@EVERY
def test_on_the_gpu(name, x):
    net = NETWORKS[name](IN, H, 2, bidirectional=True).double()
    y, _ = net(x)
    torch.testing.assert_close(net.cuda()(x.cuda())[0].cpu(), y)


def test_all_names_are_exported_and_documented():
    for name in rnn.__all__:
        assert inspect.getdoc(getattr(rnn, name))
    assert sorted(rnn.__all__) == rnn.__all__
    for cls in (*NETWORKS.values(), *CELLS.values()):
        assert cls.__name__ in rnn.__all__


def test_repr_shows_the_sizes():
    net = SpikingGRU(IN, H, 2, dropout_p=0.1)
    assert "5, 4, num_layers=2, bias=True, dropout_p=0.1" in repr(net)
    assert "5, 4, bias=True" in repr(net.cells[0])


# a network of one's own


def test_a_new_cell_makes_a_network(x):
    class Counter(SpikingRNNCellBase):
        def step(self, projected, states):
            return (states[0] + 1,)

    class Counters(SpikingRNNBase):
        cell = Counter

    y, h = Counters(IN, H, 2).double()(x)
    torch.testing.assert_close(y[:, 0, 0], torch.arange(1.0, T + 1).double())
    assert (h == T).all()
    with pytest.raises(NotImplementedError, match="define step"):
        SpikingRNNCellBase(IN, H)(x[0].float())


# errors


@EVERY
@pytest.mark.parametrize("shape", [(T, N, IN + 1), (N, IN), (0, N, IN)])
def test_an_input_of_another_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"expected x \[T, N, 5\] with T > 0, got shape"):
        NETWORKS[name](IN, H, 1)(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"expected x \[N, 5\], got shape"):
        CELLS[name](IN, H)(torch.zeros(T, N, IN))


@EVERY
def test_states_of_another_batch_size_are_refused(name):
    net = NETWORKS[name](IN, H, 2)
    _, states = net(torch.zeros(T, N, IN))
    with pytest.raises(ValueError, match=r"state h to be \[2, 1, 4\], got shape \(2, 3, 4\)"):
        net(torch.zeros(T, 1, IN), states)
    cell = CELLS[name](IN, H)
    with pytest.raises(ValueError, match=r"state h to be \[1, 4\], got shape \(3, 4\)"):
        cell(torch.zeros(1, IN), cell(torch.zeros(N, IN)))


def test_states_of_the_wrong_number_are_refused():
    h = torch.zeros(1, N, H)
    x = torch.zeros(T, N, IN)
    with pytest.raises(TypeError, match=r"states must be the tuple \(h, c\) or None, got Tensor"):
        SpikingLSTM(IN, H, 1)(x, h)
    with pytest.raises(TypeError, match=r"states must be the tuple \(h, c\) or None, got str"):
        SpikingLSTM(IN, H, 1)(x, "hc")
    with pytest.raises(TypeError, match="states must be a tensor or None, got tuple of 2"):
        SpikingGRU(IN, H, 1)(x, (h, h))
    with pytest.raises(TypeError, match="states must be a tensor or None, got float"):
        SpikingVanillaRNNCell(IN, H)(x[0], 0.0)


@EVERY
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"input_size": 0}, ValueError, "input_size must be at least 1, got 0"),
        ({"hidden_size": 2.0}, TypeError, "hidden_size must be a whole number, got 2.0"),
        ({"num_layers": True}, TypeError, "num_layers must be a whole number"),
        ({"dropout_p": 1.0}, ValueError, r"dropout_p must be in \[0, 1\), got 1.0"),
        ({"dropout_p": float("nan")}, ValueError, r"dropout_p must be in \[0, 1\)"),
    ],
)
def test_arguments_are_checked(name, options, error, text):
    with pytest.raises(error, match=text):
        NETWORKS[name](**({"input_size": IN, "hidden_size": H, "num_layers": 1} | options))


def test_surrogates_are_checked():
    with pytest.raises(TypeError, match=r"must be callable, such as surrogate\.Erf"):
        SpikingVanillaRNNCell(IN, H, surrogate_function="erf")
    with pytest.raises(ValueError, match="must both spike or both not"):
        SpikingLSTMCell(IN, H, True, Erf(), Erf(spiking=False))
    SpikingGRUCell(IN, H, True, Erf(), torch.sigmoid)  # a plain function can be either
