from __future__ import annotations

import logging

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir
from sj_neurons import functional
from sj_neurons.neuron import IFNode, LIFNode


def graph_of(node: nir.NIRNode, n: int = 2, name: str = "n") -> nir.NIRGraph:
    shape = np.array([n])
    return nir.NIRGraph(
        {"i": nir.Input({"input": shape}), name: node, "o": nir.Output({"output": shape})},
        [("i", name), (name, "o")],
        type_check=False,
    )


def if_node(n: int = 2, **fields: float) -> nir.IF:
    values = {"r": 1e4, "v_threshold": 1.0, "v_reset": 0.0, **fields}
    return nir.IF(**{key: np.full(n, value) for key, value in values.items()})


def test_modules_are_ours_in_the_order_of_the_graph():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), IFNode(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3), LIFNode()
    )
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, torch.rand(1, 2, 6, 6)))
    assert isinstance(back, torch.fx.GraphModule)
    assert [(name, type(module)) for name, module in back.named_children()] == [
        ("_0", layer.Conv2d),
        ("_1", IFNode),
        ("_2", layer.AvgPool2d),
        ("_3", layer.Flatten),
        ("_4", layer.Linear),
        ("_5", LIFNode),
    ]
    assert repr(back.get_submodule("_2")) == (
        "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, step_mode=s)"
    )


def test_code_reads_like_the_graph():
    net = nn.Sequential(nn.Linear(2, 2), IFNode())
    code = sj_nir.import_from_nir(sj_nir.export_to_nir(net, torch.rand(1, 2))).code
    assert [line.strip() for line in code.splitlines() if line.strip()] == [
        "def forward(self, input, state : typing_Dict[str,typing_Any] = None):",
        "input_1 = input",
        "_0 = self._0(input_1);  input_1 = None",
        "_1 = self._1(_0);  _0 = None",
        "return (_1, state)",
    ]


def test_step_mode_m_takes_sequences():
    net = nn.Sequential(layer.Conv2d(1, 2, 3), IFNode(), layer.Flatten(), layer.Linear(8, 3))
    graph = sj_nir.export_to_nir(net, torch.rand(1, 1, 4, 4))
    single, multi = (sj_nir.import_from_nir(graph, step_mode=mode) for mode in "sm")
    x_seq = torch.rand(5, 2, 1, 4, 4) * 4
    expected = torch.stack([single(x)[0] for x in x_seq])
    torch.testing.assert_close(multi(x_seq)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_and_device_reach_the_parameters(dtype):
    graph = sj_nir.export_to_nir(nn.Sequential(nn.Linear(2, 3), IFNode()), torch.rand(1, 2))
    back = sj_nir.import_from_nir(graph, device=torch.device("cpu"), dtype=dtype)
    assert {parameter.dtype for parameter in back.parameters()} == {dtype}
    assert back(torch.rand(1, 2, dtype=dtype))[0].dtype == dtype


def test_weights_are_copies_that_train():
    graph = sj_nir.export_to_nir(nn.Sequential(nn.Linear(2, 3), IFNode()), torch.rand(1, 2))
    back = sj_nir.import_from_nir(graph)
    back(torch.rand(4, 2))[0].sum().backward()
    weight = back.get_submodule("_0").weight
    assert weight.requires_grad and weight.grad is not None
    before = graph.nodes["_0"].weight.copy()
    weight.data.add_(1)
    np.testing.assert_array_equal(graph.nodes["_0"].weight, before)


def test_import_draws_no_random_numbers():
    graph = sj_nir.export_to_nir(nn.Sequential(nn.Linear(2, 3), IFNode()), torch.rand(1, 2))
    state = torch.get_rng_state()
    sj_nir.import_from_nir(graph)
    assert torch.equal(torch.get_rng_state(), state)


def test_graph_may_be_a_path_or_its_text(tmp_path):
    path = tmp_path / "x.h5"
    sj_nir.export_to_nir(IFNode(), torch.rand(1, 2), path)
    for graph in (path, str(path)):
        assert list(dict(sj_nir.import_from_nir(graph).named_children())) == ["_0"]


@pytest.mark.parametrize("name", ["0", "lif1.lif", "class", "forward", "state", "self", "a b", "é"])
def test_any_node_name_becomes_an_attribute(name):
    back = sj_nir.import_from_nir(graph_of(if_node(), name=name))
    out, state = back(torch.full((1, 2), 2.0))
    assert out.tolist() == [[1.0, 1.0]]
    assert list(state) == ["i", name, "o"]


def test_names_that_look_alike_stay_apart():
    graph = graph_of(if_node(), name="a.b")
    graph.nodes["a_b"] = if_node()
    graph.edges[1:] = [("a.b", "a_b"), ("a_b", "o")]
    _, state = sj_nir.import_from_nir(graph)(torch.ones(1, 2))
    assert list(state) == ["i", "a.b", "a_b", "o"]


@pytest.mark.parametrize("name", ["state", "self", "input", "x"])
def test_any_name_of_the_input(name):
    graph = graph_of(if_node())
    graph.nodes[name] = graph.nodes.pop("i")
    graph.edges[0] = (name, "n")
    assert sj_nir.import_from_nir(graph)(torch.full((1, 2), 2.0))[0].tolist() == [[1.0, 1.0]]


def test_several_edges_add_up():
    graph = graph_of(nir.Linear(weight=np.eye(2)))
    graph.nodes["m"] = nir.Affine(weight=np.eye(2) * 3, bias=np.ones(2))
    graph.edges += [("i", "m"), ("m", "o"), ("i", "o")]
    out, _ = sj_nir.import_from_nir(graph)(torch.tensor([[1.0, 2.0]]))
    assert out.tolist() == [[6.0, 11.0]]


def test_reset_net_clears_what_calls_left():
    back = sj_nir.import_from_nir(graph_of(if_node()))
    x = torch.full((1, 2), 0.6)
    assert [back(x)[0].sum().item() for _ in range(3)] == [0.0, 2.0, 0.0]
    functional.reset_net(back)
    assert [back(x)[0].sum().item() for _ in range(2)] == [0.0, 2.0]


class Resonator(nir.Scale):
    pass


def test_everything_unsupported_is_named_at_once():
    graph = graph_of(Resonator(np.ones(2)))
    graph.nodes["d"] = Resonator(np.ones(2))
    graph.edges += [("i", "d"), ("d", "o")]
    with pytest.raises(sj_nir.NotSupportedError) as caught:
        sj_nir.import_from_nir(graph)
    assert [line.partition(";")[0] for line in str(caught.value).splitlines()] == [
        "node 'n': Resonator is not supported",
        "node 'd': Resonator is not supported",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dt": 0}, ValueError, "dt must be a positive number of seconds, got 0"),
        ({"dt": "1e-4"}, TypeError, "dt must be a number of seconds"),
        ({"if_dt": -1.0}, ValueError, "if_dt must be a positive number"),
        ({"dtype": torch.int32}, TypeError, "dtype must be a floating-point torch dtype"),
        ({"step_mode": "x"}, ValueError, "step_mode must be one of"),
        ({"reset": "none"}, ValueError, "reset must be one of"),
        ({"threshold": "="}, ValueError, "threshold must be one of"),
        ({"cut": "edge"}, ValueError, "cut must be one of"),
    ],
)
def test_arguments_out_of_range(arguments, error, message):
    with pytest.raises(error, match=message):
        sj_nir.import_from_nir(graph_of(if_node()), **arguments)


def test_something_that_is_no_graph():
    with pytest.raises(TypeError, match=r"must be a nir\.NIRGraph or a path, got int"):
        sj_nir.import_from_nir(3)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.Affine(np.eye(2), np.zeros(3)), r"field 'bias': expected shape \(2,\)"),
        (nir.Affine(np.full((2, 2), np.inf), np.zeros(2)), "field 'weight': 4 of 4 values"),
        (nir.Linear(np.zeros((1, 2, 2))), r"field 'weight': .*takes shape \(1, 2\)"),
        (nir.Linear(np.array([["a", "b"], ["c", "d"]])), "field 'weight': expected numbers"),
        (nir.Affine(np.eye(2), np.zeros(0)), r"field 'bias': is empty, shape \(0,\)"),
    ],
)
def test_bad_weights_name_the_field(node, message):
    with pytest.raises(sj_nir.NIRError, match=message):
        sj_nir.import_from_nir(graph_of(node))


def test_another_dt_than_that_of_the_export_is_told(caplog):
    graph = sj_nir.export_to_nir(nn.Sequential(LIFNode()), torch.rand(1, 2), dt=1e-3)
    with caplog.at_level(logging.WARNING):
        sj_nir.import_from_nir(graph, dt=1e-3)
        assert not caplog.text
        sj_nir.import_from_nir(graph)
    assert "exported with dt=0.001" in caplog.text


def test_a_soft_reset_survives_the_file(tmp_path, caplog):
    net = nn.Sequential(LIFNode(3.0, v_reset=None, decay_input=False))
    with caplog.at_level(logging.ERROR):
        sj_nir.export_to_nir(net, torch.rand(1, 2), tmp_path / "x.nir")
    back = sj_nir.import_from_nir(tmp_path / "x.nir")
    assert back.get_submodule("_0").v_reset is None
    assert sj_nir.import_from_nir(tmp_path / "x.nir", reset="hard").get_submodule("_0").v_reset == 0
