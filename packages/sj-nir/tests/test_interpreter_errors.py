"""The numpy interpreter and wrong graphs: errors that name node and field."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.interpreter import compile_graph, interpret

DT = 1e-3


def full(n: int, **values: float) -> dict[str, Any]:
    return {field: np.full(n, value) for field, value in values.items()}


def chain(shape: tuple[int, ...], *nodes: nir.NIRNode, **named: nir.NIRNode) -> nir.NIRGraph:
    """input -> n0 -> n1 -> ... -> output, Output without a shape."""
    found = {f"n{i}": node for i, node in enumerate(nodes)} | named
    names = ["input", *found, "output"]
    return nir.NIRGraph(
        {"input": nir.Input(np.array(shape)), **found, "output": nir.Output(np.array([]))},
        list(pairwise(names)),
        type_check=False,
    )


def ones(steps: int, *shape: int) -> np.ndarray:
    return np.ones((steps, 1, *shape))


class Unknown(nir.Scale):
    """Another class than those of nir."""


def conv(**changes: Any) -> nir.Conv2d:
    values = {
        "input_shape": None, "weight": np.ones((2, 1, 3, 3)), "stride": (1, 1),
        "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": np.zeros(2), **changes,
    }  # fmt: skip
    node = nir.Conv2d(**{**values, "input_shape": None, "padding": (0, 0)})
    node.input_shape, node.padding = values["input_shape"], values["padding"]
    return node


def pool(**changes: Any) -> nir.AvgPool2d:
    return nir.AvgPool2d(**{"kernel_size": 2, "stride": 2, "padding": 0, **changes})


def lif(**changes: Any) -> nir.LIF:
    node = nir.LIF(**full(2, tau=0.1, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0))
    for field, value in changes.items():
        setattr(node, field, value)
    return node


def flat(**changes: Any) -> nir.Flatten:
    return nir.Flatten(**{"input_type": {"input": None}, **changes})


IMAGE = (1, 5, 5)


@pytest.mark.parametrize(
    ("shape", "node", "text"),
    [
        ((2,), Unknown(np.ones(2)), "node 'n0': no rule is known for Unknown"),
        ((2,), nir.Linear(np.ones((1, 3))), r"field 'weight': takes shape \(3,\)"),
        ((2,), nir.Linear(np.full((1, 2), "x")), "field 'weight': expected numbers"),
        ((2,), nir.Linear(np.ones((0, 2))), "field 'weight': is empty"),
        ((2,), nir.Affine(np.ones((1, 2)), np.ones(3)), r"field 'bias': expected shape \(1,\)"),
        ((2,), nir.Scale(np.ones(3)), r"field 'scale': has shape \(3,\), but gets \(2,\)"),
        ((2,), nir.Scale(np.array(1.0)), "field 'scale': is a single number"),
        ((2,), nir.Delay(np.array(0.0)), "field 'delay': is a single number"),
        ((2,), nir.Delay(np.zeros(3)), r"field 'delay': has shape \(3,\)"),
        ((2,), nir.Delay(np.array([0.0, -1.0])), "field 'delay': must not be negative"),
        ((3,), lif(), r"field 'r': has shape \(2,\), but gets \(3,\)"),
        ((2,), lif(tau=np.ones(3)), r"field 'tau': shape \(3,\) differs from that of r"),
        ((2,), lif(tau=np.array([1.0, 0.0])), "field 'tau': must be positive, got 0.0"),
        ((2,), lif(tau=np.full(2, 1e-4)), "field 'tau': 0.0001 s is shorter than dt = 0.001 s"),
        ((2,), lif(metadata={"sj_nir": {"reset": "no"}}), "field 'metadata/sj_nir/reset'"),
        ((2,), lif(metadata={"sj_nir": {"v_init": "x"}}), "expected finite numbers, got 'x'"),
        ((2,), lif(metadata={"sj_nir": {"v_init": np.ones(3)}}), r"expected shape \(2,\)"),
        (IMAGE, conv(weight=np.ones((2, 1, 3))), r"expected \[Co, Ci/groups, Kh, Kw\]"),
        (IMAGE, conv(groups=3), "field 'groups': 3 does not divide the 2 output"),
        (IMAGE, conv(bias=np.zeros(3)), "field 'bias': expected shape"),
        ((2, 5, 5), conv(), r"takes \(1, H, W\), but gets \(2, 5, 5\)$"),
        ((1, *IMAGE), conv(), "shapes must not count batch or time"),
        (IMAGE, conv(input_shape=(4, 4)), r"field 'input_shape': says \(4, 4\)"),
        (IMAGE, conv(input_shape=(4.5, 4)), "field 'input_shape': expected positive integers"),
        (IMAGE, conv(padding="full"), "field 'padding': expected integers, 'same' or 'valid'"),
        (IMAGE, conv(padding="same", stride=(2, 2)), "field 'padding': 'same' needs stride 1"),
        (IMAGE, conv(stride=(1, 1, 1)), "field 'stride': expected 1 or 2 integers"),
        (IMAGE, conv(stride=(0, 1)), "field 'stride': must be at least 1"),
        (IMAGE, conv(stride=(1.5, 1)), "field 'stride': expected integers"),
        ((1, 2, 2), conv(), "the kernel is larger than the padded input"),
        ((5, 5), pool(), r"takes \(C, H, W\), but gets \(5, 5\)$"),
        ((1, 1, 5, 5), pool(), "must not count batch"),
        (IMAGE, flat(start_dim=3), "field 'start_dim': 3 is no axis"),
        (IMAGE, flat(start_dim=2, end_dim=1), "field 'start_dim': lies behind end_dim=1"),
        (IMAGE, flat(input_type={"input": np.array([2])}), "field 'input_type': says"),
    ],
)
def test_errors_name_node_and_field(shape: tuple[int, ...], node: Any, text: str) -> None:
    with pytest.raises(sj_nir.NIRError, match=text) as caught:
        compile_graph(chain(shape, node), DT)
    assert caught.value.node == "n0"


def test_single_numbers_are_fine_where_a_sample_is_one() -> None:
    neuron = nir.I(np.array(1.0))
    assert interpret(chain((), neuron), np.ones((2, 1)), 1.0).out[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda g: g.edges.append(("n0", "z")), "edge 'n0' -> 'z': there is no node 'z'"),
        (lambda g: g.edges.append(("n0", "output")), "is given more than once"),
        (lambda g: g.edges.append(("n0", "input")), "node 'input': an Input cannot be the target"),
        (lambda g: g.edges.append(("output", "n0")), "node 'output': an Output cannot be the"),
        (lambda g: g.edges.pop(0), "node 'input': it feeds nothing"),
        (lambda g: g.edges.pop(1), "node 'n0': it feeds nothing|node 'output': nothing feeds it"),
        (lambda g: g.nodes.pop("output") and g.edges.pop(), "the graph has no Output node"),
        (lambda g: g.nodes["input"].input_type.update(input=None), "an Input states its shape"),
        (lambda g: g.nodes["output"].output_type.update(output=(3,)), r"says \(3,\), but gets"),
    ],
)
def test_wrong_wiring_is_named(change: Any, text: str) -> None:
    graph = chain((2,), nir.Scale(np.ones(2)))
    change(graph)
    with pytest.raises(sj_nir.NIRGraphError, match=text):
        compile_graph(graph, DT)


def test_sums_of_different_shapes_are_refused() -> None:
    graph = chain((2,), nir.Linear(np.ones((3, 2))))
    graph.edges.append(("input", "output"))
    with pytest.raises(sj_nir.NIRGraphError, match=r"\(3,\) from 'n0', \(2,\) from 'input'"):
        compile_graph(graph, DT)


# what metadata say


@pytest.mark.parametrize("dt", [0, -1.0, np.zeros(0), np.array([1e-3, 1e-4]), "short", np.nan])
def test_a_wrong_dt_in_the_metadata_is_named(dt: Any) -> None:
    graph = chain((1,), nir.I(np.ones(1)))
    graph.metadata["sj_nir"] = {"dt": dt}
    with pytest.raises(sj_nir.NIRGraphError, match=r"^field 'metadata/sj_nir/dt': expected"):
        interpret(graph, ones(1, 1))
    assert interpret(graph, ones(1, 1), DT).out.shape == (1, 1, 1)


@pytest.mark.parametrize("entry", ["reset", "fire"])
def test_words_in_the_metadata_that_are_arrays_are_named(entry: str) -> None:
    node = nir.IF(np.ones(1), np.ones(1), metadata={"sj_nir": {entry: np.array(["a", "b"])}})
    with pytest.raises(sj_nir.NIRGraphError, match=f"'n0', field 'metadata/sj_nir/{entry}'"):
        compile_graph(chain((1,), node))
