"""Quantisation of graphs, and the comparison of two graphs."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sj_nir
from sj_nir import NIRGraphError, targets

FINITE = st.floats(-100, 100, width=32)
WEIGHTS = arrays.arrays(np.float32, (3, 4), elements=FINITE)


def net(weight: np.ndarray, **changes: Any) -> nir.NIRGraph:
    """input -> w -> IF -> output, an input of 1 adding 1 per step of 1 ms."""
    size = len(weight)
    neuron = nir.IF(
        r=np.full(size, 1e3), v_threshold=np.full(size, 1.0), v_reset=np.zeros(size), **changes
    )
    return nir.NIRGraph(
        {
            "input": nir.Input(np.array(weight.shape[1:])),
            "w": nir.Affine(weight, np.full(size, 0.25, np.float32)),
            "n": neuron,
            "output": nir.Output(np.array([size])),
        },
        [("input", "w"), ("w", "n"), ("n", "output")],
        type_check=False,
    )


def weight_of(graph: nir.NIRGraph) -> np.ndarray:
    return graph.nodes["w"].weight  # type: ignore[attr-defined]


# quantise


@given(weight=WEIGHTS, bits=st.integers(2, 16), per=st.sampled_from(["tensor", "channel"]))
def test_quantised_weights(weight: np.ndarray, bits: int, per: str) -> None:
    graph = net(weight)
    before = copy.deepcopy(weight)
    made = targets.quantise(graph, bits, per=per)
    found = weight_of(made)
    np.testing.assert_array_equal(weight_of(graph), before)  # the original stays as it is
    assert found.dtype == weight.dtype
    assert (found[weight == 0] == 0).all()
    axis = 1 if per == "channel" else None
    top = 2 ** (bits - 1) - 1
    largest = np.abs(weight).max(axis=axis, keepdims=True).astype(np.float64)
    assert (np.abs(found - weight) <= largest / top * 0.5001).all()  # half a step
    np.testing.assert_array_equal(np.abs(found).max(axis=axis, keepdims=True), largest)
    for row in found if per == "channel" else [found]:
        assert np.unique(row).size <= 2 * top + 1
    again = weight_of(targets.quantise(made, bits, per=per))
    np.testing.assert_array_equal(again, found)


@given(weight=WEIGHTS, power=st.integers(-8, 8))
def test_a_power_of_two_passes_through(weight: np.ndarray, power: int) -> None:
    small = weight_of(targets.quantise(net(weight)))
    large = weight_of(targets.quantise(net(weight * np.float32(2.0**power))))
    np.testing.assert_array_equal(large, small * np.float32(2.0**power))


@given(weight=WEIGHTS)
def test_quantised_weights_fit_targets_of_as_many_bits(weight: np.ndarray) -> None:
    assert targets.check(targets.quantise(net(weight), 8), "loihi2") == []
    steps = targets.Limit("weights", 63, "steps", "here", targets.rules.weight_steps)
    mine = targets.Target("mine", "mine", None, "", (steps,))
    assert targets.check(targets.quantise(net(weight), 7), mine) == []


def test_known_numbers() -> None:
    weight = np.array([[1.0, 0.4, -0.6, -1.0], [0.1, 0.0, 0.0, 0.04]])
    whole = weight_of(targets.quantise(net(weight), 3))  # steps of 1/3
    np.testing.assert_allclose(whole, [[1, 1 / 3, -2 / 3, -1], [0, 0, 0, 0]])
    rows = weight_of(targets.quantise(net(weight), 3, per="channel"))
    np.testing.assert_allclose(rows, [[1, 1 / 3, -2 / 3, -1], [0.1, 0, 0, 0.1 / 3]])


def test_channels_of_convolutions_and_of_weights_with_leading_axes() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 2, 3, 3)) * [[[[1]]], [[[10]]], [[[100]]]]
    for node in (
        nir.Conv2d(None, weight, 1, 0, 1, 1, np.zeros(3)),
        nir.Conv1d(None, weight[..., 0], 1, 0, 1, 1, np.zeros(3)),
    ):
        graph = nir.NIRGraph({"w": node}, [], type_check=False)
        made = weight_of(targets.quantise(graph, 4, per="channel"))
        for row, original in zip(made, node.weight, strict=True):
            assert np.abs(row).max() == np.abs(original).max()
    stacked = nir.Linear(np.array([[[1.0, 0.3], [10.0, 3.0]], [[0.5, 0.1], [7.0, 3.0]]]))
    graph = nir.NIRGraph({"w": stacked}, [], type_check=False)
    made = weight_of(targets.quantise(graph, 3, per="channel"))  # outputs are the last but one
    np.testing.assert_allclose(made[:, 0], [[1, 1 / 3], [2 / 3, 0]])


def test_other_fields_and_what_the_metadata_say(tmp_path: Path) -> None:
    graph = net(np.eye(2, dtype=np.float32), metadata={"made": "here", "sj_nir": {"reset": "soft"}})
    graph.nodes["n"].v_threshold = np.array([1.0, 0.7])  # type: ignore[attr-defined]
    made = targets.quantise(graph, 2, fields=("weight", "bias", "v_threshold"), per="channel")
    np.testing.assert_array_equal(made.nodes["n"].v_threshold, [1.0, 1.0])  # type: ignore[attr-defined]
    made = targets.quantise(made, 8, fields=("bias",))
    sj_nir.write_graph(tmp_path / "q.nir", made)
    read = sj_nir.read_graph(tmp_path / "q.nir")
    record: Any = read.nodes["w"].metadata["sj_nir"]["quantised"]
    assert {field: dict(how) for field, how in record.items()} == {
        "weight": {"bits": 2, "per": "channel"},
        "bias": {"bits": 8, "per": "tensor"},
    }
    neuron: Any = read.nodes["n"].metadata
    assert neuron["made"] == "here"
    assert neuron["sj_nir"]["reset"] == "soft"
    assert "sj_nir" not in graph.nodes["w"].metadata
    sj_nir.import_from_nir(tmp_path / "q.nir", dt=1e-3)


def test_nested_graphs_and_integers() -> None:
    inner = net(np.array([[7, 3]]))
    outer = nir.NIRGraph({"g": inner}, [], type_check=False)
    made: Any = targets.quantise(outer, 2)
    np.testing.assert_array_equal(weight_of(made.nodes["g"]), [[7.0, 0.0]])
    np.testing.assert_array_equal(weight_of(inner), [[7, 3]])


@pytest.mark.parametrize("metadata", [None, {"sj_nir": 3}, {"sj_nir": {"quantised": 3}}])
def test_metadata_of_other_kinds(metadata: Any) -> None:
    graph = net(np.eye(2))
    graph.nodes["w"].metadata = metadata
    record: Any = targets.quantise(graph).nodes["w"].metadata
    assert record["sj_nir"]["quantised"] == {"weight": {"bits": 8, "per": "tensor"}}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"bits": 1}, ValueError, "bits must be an integer from 2 to 16, got 1"),
        ({"bits": 17}, ValueError, "from 2 to 16"),
        ({"bits": True}, ValueError, "from 2 to 16"),
        ({"bits": 8.0}, ValueError, "from 2 to 16"),
        ({"per": "row"}, ValueError, "'tensor' or 'channel', got 'row'"),
        ({"fields": "weight"}, TypeError, r"\('weight',\), got one string"),
        ({"fields": ("tau",)}, ValueError, "cannot quantise 'tau'; fields can be weight, bias"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        targets.quantise(net(np.eye(2)), **arguments)


def test_bad_graphs() -> None:
    with pytest.raises(TypeError, match=r"nir\.NIRGraph, got str"):
        targets.quantise("net.nir")  # type: ignore[arg-type]
    with pytest.raises(NIRGraphError, match="node 'w', field 'weight': 1 of 2 values are NaN"):
        targets.quantise(net(np.array([[1.0, np.nan]])))


# compare


def test_equal_graphs() -> None:
    graph = net(np.eye(2, dtype=np.float32))
    found = targets.compare(graph, graph, np.ones((4, 1, 2)), 1e-3)
    assert found.fields == ()
    assert (found.steps, found.batch) == (4, 1)
    (spikes,), (output,) = found.spikes, found.outputs
    assert (spikes.node, spikes.first, spikes.second, spikes.common) == ("n", 8, 8, 1.0)
    assert (output.node, output.largest, output.rms) == ("output", 0.0, 0.0)


def test_silent_graphs_have_all_in_common() -> None:
    graph = net(np.zeros((1, 1), np.float32))
    found = targets.compare(graph, graph, np.zeros((2, 1, 1)), 1e-3)
    assert (found.spikes[0].first, found.spikes[0].common) == (0, 1.0)


def test_differences_by_hand() -> None:
    # per step 1.25 and 0.75: fires each step, and at every second step
    first = net(np.array([[1.0], [1.0]]))
    second = net(np.array([[1.0], [0.5]]))
    found = targets.compare(first, second, np.ones((4, 1, 1)), 1e-3)
    (moved,), (spikes,), (output,) = found.fields, found.spikes, found.outputs
    assert (moved.node, moved.field, moved.largest) == ("w", "weight", 0.5)
    assert moved.sqnr == pytest.approx(10 * math.log10(2 / 0.25))
    assert (spikes.first, spikes.second, spikes.common) == (8, 6, 6 / 8)
    assert (output.largest, output.rms) == (1.0, 0.5)
    assert str(found).splitlines() == [
        "4 steps, 1 samples",
        "node 'w', field 'weight': off by at most 0.5, 9.0 dB",
        "node 'n': 8 spikes, then 6; 75.0% in common",
        "output 'output': differs by at most 1, rms 0.5",
    ]


def test_a_field_that_was_all_zeros() -> None:
    found = targets.compare(net(np.zeros((1, 1))), net(np.ones((1, 1))), np.ones((1, 1, 1)), 1e-3)
    assert found.fields[0].sqnr == -math.inf


def test_more_bits_change_less(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    graph = net(rng.normal(size=(8, 6)).astype(np.float32))
    sj_nir.write_graph(tmp_path / "a.nir", graph)
    x_seq = rng.random((30, 2, 6))
    noise = []
    for bits in (3, 6, 12):
        made = targets.quantise(graph, bits)
        found = targets.compare(tmp_path / "a.nir", made, x_seq, 1e-3, reset="soft", threshold=">=")
        noise.append(found.fields[0].sqnr)
    # a bit is worth 6 dB
    assert noise[0] + 12 < noise[1] < noise[2] - 30


def test_arguments_reach_the_interpreter() -> None:
    graph = net(np.eye(2, dtype=np.float32))
    found = targets.compare(graph, graph, np.ones((4, 1, 2)), 1e-4, if_dt=1e-3)
    assert found.spikes[0].first == 8
    with pytest.raises(ValueError, match="cut"):
        targets.compare(graph, graph, np.ones((4, 1, 2)), cut="here")


def test_graphs_that_cannot_be_compared() -> None:
    graph, x_seq = net(np.eye(2, dtype=np.float32)), np.ones((4, 1, 2))
    other = net(np.eye(2, dtype=np.float32))
    other.nodes["w"] = nir.Linear(np.eye(2))
    with pytest.raises(ValueError, match="'w': Affine in one graph, Linear in the other"):
        targets.compare(graph, other, x_seq)
    other = net(np.eye(2, dtype=np.float32))
    other.nodes["x"] = other.nodes.pop("n")
    other.edges = [("input", "w"), ("w", "x"), ("x", "output")]
    with pytest.raises(ValueError, match="'n': IF in one graph, missing in the other"):
        targets.compare(graph, other, x_seq)
    with pytest.raises(ValueError, match=r"'n': shape \(2,\) in one graph, \(3,\) in the other"):
        targets.compare(graph, net(np.ones((3, 2), np.float32)), x_seq)
    narrow = nir.NIRGraph(
        {"i": nir.Input(np.array([1])), "w": nir.Linear(np.ones((2, 1))), "o": nir.Output(None)},
        [("i", "w"), ("w", "o")],
        type_check=False,
    )
    wide = copy.deepcopy(narrow)
    wide.nodes |= {"i": nir.Input(np.array([2])), "w": nir.Linear(np.ones((2, 2)))}
    with pytest.raises(ValueError, match="'i': shape"):
        targets.compare(narrow, wide, np.ones((4, 1, 1)))


def test_layers_of_equal_outputs_and_other_kernels() -> None:
    def graph(kernel: int) -> nir.NIRGraph:
        weight = np.ones((1, 1, kernel))
        conv = nir.Conv1d(None, weight, 1, kernel // 2, 1, 1, np.zeros(1))
        return nir.NIRGraph(
            {"i": nir.Input(np.array([1, 5])), "w": conv, "o": nir.Output(None)},
            [("i", "w"), ("w", "o")],
            type_check=False,
        )

    with pytest.raises(ValueError, match=r"'w', field 'weight': shape \(1, 1, 3\) in one graph"):
        targets.compare(graph(3), graph(5), np.ones((4, 1, 1, 5)))
