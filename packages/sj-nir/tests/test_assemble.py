from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_nir


def two_by_two(**metadata) -> nir.NIRGraph:
    """in_a + 10 in_b to out_y, in_b to out_x."""
    return nir.NIRGraph(
        {
            "in_b": nir.Input(np.array([2]), metadata=metadata.get("b", {})),
            "in_a": nir.Input(np.array([2]), metadata=metadata.get("a", {})),
            "w": nir.Linear(weight=np.eye(2) * 10),
            "out_y": nir.Output(np.array([2])),
            "out_x": nir.Output(np.array([2])),
        },
        [("in_a", "out_y"), ("in_b", "w"), ("w", "out_y"), ("in_b", "out_x")],
        type_check=False,
    )


A, B = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])


def test_several_inputs_and_outputs_go_by_name():
    net = sj_nir.import_from_nir(two_by_two())
    assert net.input_names == ("in_a", "in_b") and net.output_names == ("out_x", "out_y")
    (x, y), state = net(A, B)
    assert x.tolist() == [[3.0, 4.0]] and y.tolist() == [[31.0, 42.0]]
    (again, _), _ = net(A, B, state)
    assert torch.equal(again, x)
    assert [
        line.strip() for line in net.code.splitlines() if "return" in line or "def" in line
    ] == [
        "def forward(self, in_a, in_b, state : typing_Dict[str,typing_Any] = None):",
        "return ((in_b, add), state)",
    ]


def test_a_dict_of_inputs_gives_a_dict_of_outputs():
    net = sj_nir.import_from_nir(two_by_two())
    for out, _ in (net({"in_b": B, "in_a": A}), net({"in_b": B, "in_a": A}, state={})):
        assert list(out) == ["out_x", "out_y"] and out["out_y"].tolist() == [[31.0, 42.0]]
    out, _ = net({"in_b": B, "in_a": A}, {})
    assert out["out_x"].tolist() == [[3.0, 4.0]]


def test_metadata_give_the_order_of_the_inputs():
    places = {"b": {"sj_nir": {"position": 0}}, "a": {"sj_nir": {"position": 1}}}
    net = sj_nir.import_from_nir(two_by_two(**places))
    assert net.input_names == ("in_b", "in_a")


@pytest.mark.parametrize("position", ["first", np.arange(2), np.nan])
def test_a_wrong_place_in_the_metadata_is_named(position):
    graph = two_by_two(a={"sj_nir": {"position": position}})
    with pytest.raises(sj_nir.NIRGraphError, match="'in_a', field 'metadata/sj_nir/position'"):
        sj_nir.import_from_nir(graph)


def test_wrong_inputs_are_named():
    net = sj_nir.import_from_nir(two_by_two())
    with pytest.raises(TypeError, match=r"expected 2 inputs \(in_a, in_b\).* got 1"):
        net(A)
    with pytest.raises(TypeError, match="got 4"):
        net(A, B, None, B)
    with pytest.raises(ValueError, match="expected the inputs in_a, in_b, got in_a"):
        net({"in_a": A})


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_an_input_may_lead_straight_to_an_output(step_mode):
    graph = nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))}, [("i", "o")]
    )
    net = sj_nir.import_from_nir(graph, step_mode=step_mode)
    out, state = net(A)
    assert out is A and state == {"i": None, "o": None}


def test_nodes_that_were_one_module_are_one_again():
    shared = {"sj_nir": {"shared": "w"}}
    nodes = {
        "i": nir.Input(np.array([2])),
        "w": nir.Linear(weight=np.eye(2) * 2),
        "w_1": nir.Linear(weight=np.eye(2) * 2, metadata=shared),
        "w_2": nir.Linear(weight=np.eye(2) * 3, metadata=shared),
        "o": nir.Output(np.array([2])),
    }
    edges = [("i", "w"), ("w", "w_1"), ("w_1", "w_2"), ("w_2", "o")]
    net = sj_nir.import_from_nir(nir.NIRGraph(nodes, edges, type_check=False))
    out, state = net(A)
    assert out.tolist() == [[12.0, 24.0]]
    assert [name for name, _ in net.named_children()] == ["w", "w_2"]  # w_2 has other weights
    assert list(state) == ["i", "w", "w_1", "w_2", "o"]
