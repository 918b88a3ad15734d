"""The numpy interpreter: closed forms, the order of nodes, where delays sit, errors that name."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sj_nir
from sj_nir.interpreter import compile_graph, flatten, interpret

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


# equations


def test_integrator_and_leak_follow_their_closed_forms() -> None:
    steps = np.arange(1, 9)
    out = interpret(chain((1,), nir.I(np.full(1, 3.0))), ones(8, 1), DT).out
    np.testing.assert_allclose(out[:, 0, 0], 3.0 * DT * steps, rtol=1e-12)
    leak = nir.LI(**full(1, tau=4 * DT, r=2.0, v_leak=0.5))
    out = interpret(chain((1,), leak), ones(8, 1), DT).out
    np.testing.assert_allclose(out[:, 0, 0], 2.5 - 2.0 * 0.75**steps, rtol=1e-12)


def test_current_is_updated_before_the_potential() -> None:
    node = nir.CubaLI(**full(1, tau_syn=2 * DT, tau_mem=4 * DT, r=8.0, v_leak=0.0, w_in=3.0))
    found = interpret(chain((1,), node), ones(1, 1), DT, record=["n0"])
    assert found.traces["n0"]["i"][0, 0, 0] == 1.5
    assert found.out[0, 0, 0] == 3.0


@pytest.mark.parametrize(("reset", "after"), [("hard", -0.25), ("soft", 1.5 - 1.25)])
def test_resets(reset: str, after: float) -> None:
    node = nir.IF(**full(1, r=1.5 / DT, v_threshold=1.0, v_reset=-0.25))
    node.metadata = {"sj_nir": {"v_init": 0.0, "reset": "soft"}}
    found = interpret(chain((1,), node), ones(1, 1), DT, reset=reset, record=["n0"])
    assert found.out[0, 0, 0] == 1.0 and found.traces["n0"]["h"][0, 0, 0] == 1.5
    assert found.traces["n0"]["v"][0, 0, 0] == after
    by_metadata = interpret(chain((1,), node), ones(1, 1), DT, record=["n0"])
    assert by_metadata.traces["n0"]["v"][0, 0, 0] == 0.25


@pytest.mark.parametrize(("threshold", "spikes"), [(">", [0, 1]), (">=", [1, 1]), (None, [1, 1])])
def test_equality_fires_only_if_told(threshold: str | None, spikes: list[float]) -> None:
    record = {"sj_nir": {"fire": ">="}}
    neuron = nir.IF(**full(1, r=1 / DT, v_threshold=1.0, v_reset=0.0), metadata=record)
    step = nir.Threshold(np.array([0.5]), metadata=record)
    x = np.array([1.0, 1.5]).reshape(2, 1, 1)
    graph = chain((1,), neuron)
    assert interpret(graph, x, DT, threshold=threshold).out[:, 0, 0].tolist() == spikes
    found = interpret(chain((1,), step), x / 2, DT, threshold=threshold, record=["n0"])
    assert found.out[:, 0, 0].tolist() == spikes
    assert found.margin == 0.0 and found.traces["n0"]["h"][1, 0, 0] == 0.75


def test_start_potentials() -> None:
    spiking = nir.LIF(**full(2, tau=1.0, r=0.0, v_leak=0.0, v_threshold=9.0, v_reset=-1.0))
    start = interpret(chain((2,), spiking), ones(1, 2), DT, record=["n0"]).traces["n0"]["v"]
    np.testing.assert_allclose(start, -1.0 + DT)
    spiking.metadata = {"sj_nir": {"v_init": np.array([1.0, 2.0])}}
    start = interpret(chain((2,), spiking), ones(1, 2), DT, record=["n0"]).traces["n0"]["v"]
    np.testing.assert_allclose(start[0, 0], np.array([1.0, 2.0]) * (1 - DT))


def test_dt_comes_from_the_metadata_of_the_graph() -> None:
    graph = chain((1,), nir.I(np.ones(1)))
    assert interpret(graph, ones(1, 1)).out[0, 0, 0] == 1e-4
    graph.metadata = {"sj_nir": {"dt": 0.5}}
    assert interpret(graph, ones(1, 1)).out[0, 0, 0] == 0.5
    assert interpret(graph, ones(1, 1), 0.25).out[0, 0, 0] == 0.25


def test_only_integrate_and_fire_takes_if_dt() -> None:
    graph = chain((1,), nir.IF(**full(1, r=1.0, v_threshold=0.9, v_reset=0.0)), nir.I(np.ones(1)))
    assert interpret(graph, ones(2, 1), DT, if_dt=1.0).out[-1, 0, 0] == pytest.approx(2 * DT)


def test_delays_count_steps_for_each_element() -> None:
    x = np.arange(1.0, 6.0).reshape(5, 1, 1).repeat(3, axis=2)
    out = interpret(chain((3,), nir.Delay(np.array([0.0, 1.1, 9.0]) * DT)), x, DT).out
    assert out[:, 0].T.tolist() == [[1, 2, 3, 4, 5], [0, 1, 2, 3, 4], [0] * 5]


def test_stacked_matrices_and_scales() -> None:
    weight = np.arange(12.0).reshape(2, 3, 2)
    x = np.random.default_rng(0).random((3, 2, 2, 2))
    expected = np.einsum("pij,tbpj->tbpi", weight, x)
    np.testing.assert_allclose(interpret(chain((2, 2), nir.Linear(weight)), x, DT).out, expected)
    bias = nir.Affine(weight, np.arange(3.0))
    scaled = chain((2, 2), bias, nir.Scale(np.full((2, 3), 2.0)))
    out = interpret(scaled, x, DT, dtype=np.float32).out
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, 2 * (expected + np.arange(3.0)), rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_convolutions_equal_a_sum_over_taps(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    groups, rng = draw(1, 2), np.random.default_rng(draw(0, 99))
    kernel, stride, dilation = (np.array([draw(1, 3), draw(1, 3)]) for _ in range(3))
    padding = np.array([draw(0, 2), draw(0, 2)])
    x = rng.random((1, 2, 2 * groups, 7, 8))
    weight = rng.random((2 * groups, 2, *kernel))
    node = nir.Conv2d(None, weight, stride, padding, dilation, groups, np.zeros(2 * groups))  # pyright: ignore
    out = interpret(chain(x.shape[2:], node), x, DT).out[0]
    padded = np.pad(x[0], [(0, 0), (0, 0), *((p, p) for p in padding)])
    expected = np.zeros_like(out)
    for o, i, a, b in np.ndindex(*weight.shape):
        channel = o // 2 * 2 + i
        rows = np.arange(out.shape[2]) * stride[0] + a * dilation[0]
        columns = np.arange(out.shape[3]) * stride[1] + b * dilation[1]
        expected[:, o] += weight[o, i, a, b] * padded[:, channel][:, rows][:, :, columns]
    np.testing.assert_allclose(out, expected)


def test_same_padding_of_an_even_kernel_puts_more_behind() -> None:
    node = nir.Conv1d(None, np.array([[[1.0, 2.0]]]), 1, "same", 1, 1, np.zeros(1))
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    assert interpret(chain((1, 3), node), x, DT).out.reshape(-1).tolist() == [5.0, 8.0, 3.0]


def test_negative_axes_of_flatten() -> None:
    node = nir.Flatten({"input": None}, start_dim=-2, end_dim=-1)
    assert interpret(chain((2, 3, 4), node), ones(1, 2, 3, 4), DT).out.shape == (1, 1, 2, 12)


# loops


def loop(**extra: nir.NIRNode) -> nir.NIRGraph:
    """input -> n -> output with n -> back (-> extra) -> n; n counts, back adds one."""
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([1])),
        "n": nir.I(np.full(1, 1 / DT)),
        "back": nir.Affine(np.zeros((1, 1)), np.ones(1)),
        **extra,
        "output": nir.Output(np.array([1])),
    }
    way = ["n", "back", *extra, "n"]
    edges = [("input", "n"), ("n", "output"), *pairwise(way)]
    return nir.NIRGraph(nodes, edges, type_check=False)


@pytest.mark.parametrize(("cut", "counted"), [("neuron", [1, 2, 3]), ("current", [0, 1, 2])])
def test_the_cut_decides_whether_a_bias_acts_at_once(cut: str, counted: list[int]) -> None:
    out = interpret(loop(), 0 * ones(3, 1), DT, cut=cut).out
    np.testing.assert_allclose(out[:, 0, 0], counted)
    graph = loop()
    graph.edges.reverse()
    np.testing.assert_array_equal(interpret(graph, 0 * ones(3, 1), DT, cut=cut).out, out)


def test_metadata_may_state_where_the_delay_sits() -> None:
    graph = loop()
    graph.nodes["n"].metadata = {"sj_nir": {"delayed": {"back": 1}}}
    assert compile_graph(graph, DT).plan.delayed == {("back", "n")}


def test_a_delay_in_a_loop_adds_to_the_step_of_the_loop() -> None:
    x = np.array([1.0, 0, 0, 0, 0]).reshape(5, 1, 1)
    graph = loop(wait=nir.Delay(np.array([2 * DT])), half=nir.Linear(np.full((1, 1), 0.5)))
    graph.nodes["back"] = nir.Linear(np.ones((1, 1)))
    graph.nodes["n"] = nir.LI(**full(1, tau=DT, r=1.0, v_leak=0.0))  # puts out its input
    out = interpret(graph, x, DT, record=["wait", "n"])
    assert out.out[:, 0, 0].tolist() == [1, 0, 0, 0.5, 0]
    assert out.traces["wait"]["out"][:, 0, 0].tolist() == [0, 0, 1, 0, 0]


def test_thresholds_in_a_loop_are_recorded() -> None:
    graph = loop(fire=nir.Threshold(np.array([0.25])))
    found = interpret(graph, 0 * ones(3, 1), DT, record=["fire"])
    assert found.traces["fire"]["h"][:, 0, 0].tolist() == [1, 1, 1] and found.margin == 0.75


def test_a_loop_through_an_algebraic_detour_is_refused() -> None:
    graph = loop(more=nir.Scale(np.ones(1)))
    graph.edges.append(("more", "back"))
    with pytest.raises(sj_nir.NIRGraphError, match="loop 'back' -> 'more' -> 'back' has no node"):
        compile_graph(graph, DT)


def test_what_no_input_reaches_is_refused() -> None:
    graph = chain((1,), nir.I(np.ones(1)))
    graph.nodes |= {"a": nir.I(np.ones(1)), "b": nir.I(np.ones(1))}
    graph.edges += [("a", "b"), ("b", "a")]
    with pytest.raises(sj_nir.NIRGraphError, match="node 'a': no path from an Input"):
        compile_graph(graph, DT)


def test_a_step_of_a_loop_takes_forced_outputs() -> None:
    program = compile_graph(loop(), DT)
    forced = {"back": np.full((3, 1, 1), 5.0)}
    found = program.run(0 * ones(3, 1), ["back"], forced)
    assert found.out[:, 0, 0].tolist() == pytest.approx([5, 10, 15])
    assert found.traces["back"]["out"][:, 0, 0].tolist() == [1, 1, 1]


# nested graphs


def nest(inner: nir.NIRGraph, *edges: tuple[str, str]) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([2])),
        "sub": inner,
        "output": nir.Output(np.array([2])),
    }
    found = edges or (("input", "sub"), ("sub", "output"))
    return nir.NIRGraph(nodes, list(found), type_check=False)


def two_ports() -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {
        "a": nir.Input(np.array([2])),
        "b": nir.Input(np.array([2])),
        "twice": nir.Scale(np.full(2, 2.0)),
        "out": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, [("a", "twice"), ("twice", "out"), ("b", "out")], type_check=False)


def test_ports_of_nested_graphs_are_named_by_edges() -> None:
    graph = nest(two_ports(), ("input", "sub.a"), ("input", "sub.b"), ("sub", "output"))
    x = np.arange(4.0).reshape(2, 1, 2)
    np.testing.assert_array_equal(interpret(graph, x, DT).out, 3 * x)
    assert list(flatten(graph).edges) == [
        ("input", "sub/twice"), ("sub/twice", "output"), ("input", "output"),
    ]  # fmt: skip


def test_equal_edges_of_different_levels_add_up() -> None:
    through = nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))},
        [("i", "o")],
        type_check=False,
    )
    graph = nest(through, ("input", "sub"), ("sub", "output"), ("input", "output"))
    np.testing.assert_array_equal(interpret(graph, ones(1, 2), DT).out, 2 * ones(1, 2))


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        (
            [("input", "sub"), ("sub", "output")],
            "node 'sub': has several Input.*'sub.a' or 'sub.b'",
        ),
        ([("input", "sub.c"), ("sub", "output")], "there is no node 'sub.c'"),
        ([("input", "sub.out"), ("sub", "output")], "its node 'out', which is no Input"),
    ],
)
def test_ports_that_are_not_told(edges: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(sj_nir.NIRGraphError, match=text):
        flatten(nest(two_ports(), *edges))


def test_gates_are_checked() -> None:
    inner = chain((3,), nir.Scale(np.ones(2)))
    with pytest.raises(sj_nir.NIRGraphError, match=r"node 'sub/input', field 'shape': says \(3,\)"):
        compile_graph(nest(inner), DT)
    through = nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "o": nir.Output(np.array([2]))},
        [("i", "o")],
        type_check=False,
    )
    graph = nest(through, ("input", "output"), ("sub", "sub"), ("sub", "output"))
    with pytest.raises(sj_nir.NIRGraphError, match=r"loop 'sub/i' -> .* has no node with state"):
        flatten(graph)


def test_depth_and_names_are_limited() -> None:
    graph = chain((2,), nir.Scale(np.ones(2)))
    for _ in range(60):
        graph = nest(graph)
    with pytest.raises(sj_nir.NIRGraphError, match="nested more than 50 deep"):
        flatten(graph)
    with pytest.raises(sj_nir.NIRGraphError, match="node 'a/b': a name must not contain"):
        flatten(chain((2,), **{"a/b": nir.Scale(np.ones(2))}))


# inputs and arguments


def test_several_inputs_and_outputs_go_by_name() -> None:
    graph = nest(two_ports(), ("input", "sub.a"), ("input", "sub.b"), ("sub", "output"))
    graph.nodes |= {"more": nir.Input(np.array([2])), "second": nir.Output(np.array([2]))}
    graph.edges += [("more", "second"), ("more", "output")]
    x = {"input": ones(2, 2), "more": 2 * ones(2, 2)}
    found = interpret(graph, x, DT, record=["input", "second"])
    assert found.outputs.keys() == {"output", "second"}
    np.testing.assert_array_equal(found.outputs["output"], 5 * ones(2, 2))
    np.testing.assert_array_equal(found.traces["second"]["out"], x["more"])
    with pytest.raises(ValueError, match=r"Outputs 'output', 'second'; use \.outputs\[name\]"):
        _ = found.out
    with pytest.raises(ValueError, match="Inputs 'input', 'more'; pass a dict"):
        interpret(graph, ones(2, 2), DT)
    with pytest.raises(ValueError, match=r"inputs differ in \[T, B\]"):
        interpret(graph, {"input": ones(2, 2), "more": ones(3, 2)}, DT)


@pytest.mark.parametrize(
    ("inputs", "error", "text"),
    [
        (ones(2, 3), ValueError, r"input 'input': expected \[T, B, 2\], got \[2, 1, 3\]"),
        (np.ones(2), ValueError, r"expected \[T, B, 2\]"),
        (np.ones((0, 1, 2)), ValueError, r"got \[0, 1, 2\]"),
        (np.full((1, 1, 2), "x"), TypeError, "expected numbers"),
        ({"x": ones(1, 2)}, ValueError, "expected inputs for 'input', got 'x'"),
    ],
)
def test_inputs_that_do_not_fit(inputs: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        interpret(chain((2,), nir.Scale(np.ones(2))), inputs, DT)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"dt": 0.0}, ValueError, "dt must be a positive number"),
        ({"dt": "1"}, TypeError, "dt must be a number"),
        ({"if_dt": -1.0}, ValueError, "if_dt must be"),
        ({"reset": "none"}, ValueError, "reset must be one of"),
        ({"threshold": "<"}, ValueError, "threshold must be one of"),
        ({"cut": "edge"}, ValueError, "cut must be one of"),
        ({"dtype": np.int64}, TypeError, "dtype must be a floating-point"),
        ({"record": ["z"]}, ValueError, "there is no node 'z'; the nodes are 'input', 'n0'"),
    ],
)
def test_arguments_out_of_range(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        interpret(chain((2,), nir.Scale(np.ones(2))), ones(1, 2), **arguments)


def test_graphs_come_from_files_too(tmp_path: Path) -> None:
    graph = chain((2,), nir.Scale(np.full(2, 3.0)))
    graph.nodes["output"] = nir.Output(np.array([2]))
    sj_nir.write_graph(tmp_path / "g.nir", graph)
    assert interpret(tmp_path / "g.nir", ones(1, 2)).out.sum() == 6.0
    with pytest.raises(TypeError, match=r"must be a nir\.NIRGraph or a path, got int"):
        compile_graph(3)  # pyright: ignore[reportArgumentType]


def test_a_time_constant_of_one_step_may_be_rounded_to_float32() -> None:
    tau = np.full(1, 1e-4, np.float32)
    assert float(tau[0]) < 1e-4
    leak = nir.LI(tau=tau, r=np.ones(1), v_leak=np.zeros(1))
    assert interpret(chain((1,), leak), ones(1, 1), 1e-4).out[0, 0, 0] == pytest.approx(1.0)


def test_a_delay_beyond_all_steps_gives_zeros() -> None:
    graph = chain((2,), nir.Delay(np.array([1e300, DT])))
    assert interpret(graph, ones(3, 2), DT).out[:, 0].tolist() == [[0, 0], [0, 1], [0, 1]]
