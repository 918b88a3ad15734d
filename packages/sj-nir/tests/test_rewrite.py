"""Graphs completed and without nesting compute what they did before."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.rewrite import completed, without_nesting


def chain(shape: tuple[int, ...], **nodes: nir.NIRNode) -> nir.NIRGraph:
    names = ["input", *nodes, "output"]
    return nir.NIRGraph(
        {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(np.array([], int))},
        list(zip(names, names[1:], strict=False)),  # noqa: RUF007
        type_check=False,
    )


def numbers() -> nir.NIRGraph:
    """Nodes whose fields are single numbers, and kernels that state no shape."""
    along: Any = nir.Conv1d(None, np.ones((2, 1, 3)), 1, 1, 1, 1, np.zeros(2))
    values = {"r": 1.0, "v_threshold": 0.5, "v_reset": 0.0, "v_leak": 0.0}
    values |= {"tau_syn": 1e-3, "tau_mem": 1e-3, "w_in": 2.0}
    return chain(
        (1, 6),
        along=along,
        scale=nir.Scale(np.array(2.0)),
        neuron=nir.CubaLIF(**{key: np.array(value) for key, value in values.items()}),
        wait=nir.Delay(np.array(1e-4)),
        flat=nir.Flatten({"input": None}, 0, -1),
        fire=nir.Threshold(np.array(0.1)),
    )


def test_single_numbers_and_shapes_are_filled_in() -> None:
    graph = completed(numbers())
    nodes: Any = graph.nodes
    assert nodes["along"].input_shape == 6
    assert tuple(nodes["flat"].input_type["input"]) == (2, 6)
    assert tuple(nodes["output"].output_type["output"]) == (12,)
    assert {np.shape(nodes["neuron"].tau_mem), np.shape(nodes["neuron"].w_in)} == {(2, 6)}
    assert np.shape(nodes["fire"].threshold) == (12,)
    x_seq = np.random.default_rng(0).random((5, 2, 1, 6))
    assert sj_nir.interpret(graph, x_seq).out.shape == (5, 2, 12)


def test_images_too() -> None:
    kernel = nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, 0, 1, 1, np.zeros(1))
    graph = completed(chain((1, 4, 5), kernel=kernel))
    node: Any = graph.nodes["kernel"]
    assert node.input_shape == (4, 5)
    assert tuple(node.output_type["output"]) == (1, 3, 4)


def test_other_faults_stay_errors() -> None:
    with pytest.raises(sj_nir.NIRGraphError, match="node 'a', field 'weight'"):
        completed(chain((2,), a=nir.Linear(np.ones((1, 3)))))


def nested(inner: nir.NIRGraph, *more: tuple[str, str], **nodes: nir.NIRNode) -> nir.NIRGraph:
    found: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([2])),
        "sub": inner,
        **nodes,
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(found, [("input", "sub"), ("sub", "output"), *more], type_check=False)


def test_nested_graphs_are_completed_and_flattened_without_clashes() -> None:
    inner = chain((2,), a=nir.Scale(np.array(3.0)))
    other = nir.Scale(np.full(2, 5.0))
    graph = nested(inner, ("input", "sub.a"), ("sub.a", "output"), **{"sub.a": other})
    x_seq = np.ones((1, 1, 2))
    flat = without_nesting(completed(graph))
    assert set(flat.nodes) == {"input", "sub.a", "sub.a_", "output"}
    np.testing.assert_array_equal(sj_nir.interpret(flat, x_seq).out, 8 * x_seq)
    inside: Any = inner.nodes["output"]
    assert tuple(inside.output_type["output"]) == (2,)


def test_two_edges_between_the_same_nodes_cannot_be_flattened() -> None:
    through = nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))},
        [("i", "o")],
        type_check=False,
    )
    with pytest.raises(sj_nir.NIRGraphError, match="edge 'input' -> 'output' is there more than"):
        without_nesting(nested(through, ("input", "output")))


def test_one_number_is_not_made_as_many_as_a_hostile_shape_says() -> None:
    one = dict.fromkeys(("tau", "r", "v_leak"), np.float64(1.0))
    shape = np.array([2**40, 2**40])
    graph = nir.NIRGraph(
        {"i": nir.Input(shape), "li": nir.LI(**one), "o": nir.Output(shape)},
        [("i", "li"), ("li", "o")],
        type_check=False,
    )
    with pytest.raises(sj_nir.NIRGraphError, match=r"node 'li': gets .* more than"):
        completed(graph)
