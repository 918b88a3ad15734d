"""Limits of chips: each can be kept and violated, and each says where it is stated."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir import targets
from sj_nir.targets import Finding, Limit, Target, rules

SHAPE = (2, 8, 8)


def conv(
    c_in: int = 2, c_out: int = 2, kernel: tuple[int, int] = (3, 3), **changes: Any
) -> nir.Conv2d:
    fields: dict[str, Any] = {
        "input_shape": None,
        "weight": np.ones((c_out, c_in, *kernel), np.float32),
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "bias": np.zeros(c_out, np.float32),
    }
    return nir.Conv2d(**{**fields, **changes})


def fires(*shape: int, kind: type[Any] = nir.IF, **changes: Any) -> Any:
    names = {
        nir.IF: ("r", "v_threshold", "v_reset"),
        nir.LIF: ("tau", "r", "v_leak", "v_threshold", "v_reset"),
        nir.CubaLIF: ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    }[kind]
    return kind(**{name: np.ones(shape, np.float32) for name in names}, **changes)


def chain(shape: tuple[int, ...], **nodes: nir.NIRNode) -> nir.NIRGraph:
    """input -> nodes in their order -> output."""
    names = ["input", *nodes, "output"]
    return nir.NIRGraph(
        {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(None)},
        list(pairwise(names)),
        type_check=False,
    )


def core(shape: tuple[int, ...] = SHAPE, **changes: Any) -> nir.NIRGraph:
    """A convolution and its neurons."""
    made = conv(shape[0], **changes)
    bare = chain(shape, c=made)
    size = sj_nir.interpreter.compile_graph(bare, 1e-12).shapes["c"]
    return chain(shape, c=made, n=fires(*size))


def dense(inputs: int, *sizes: int, kind: type[Any] = nir.LIF, soft: bool = True) -> nir.NIRGraph:
    """Linear nodes of ones, each with its neurons."""
    nodes: dict[str, nir.NIRNode] = {}
    for layer, size in enumerate(sizes):
        nodes[f"w{layer}"] = nir.Linear(np.ones((size, inputs), np.float32))
        record = {"sj_nir": {"reset": "soft"}} if soft else {}
        nodes[f"n{layer}"] = fires(size, kind=kind, metadata=record)
        inputs = size
    return chain((nodes["w0"].weight.shape[1],), **nodes)  # type: ignore[attr-defined]


def found(
    graph: nir.NIRGraph | Path, target: str | Target = "speck2f"
) -> list[tuple[Any, Any, str]]:
    return [(f.node, f.field, f.limit.what) for f in targets.check(graph, target)]


# Speck: what a core computes


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (core(), []),
        (core((1, 64, 64), c_out=2, kernel=(16, 16)), []),
        (core((1, 20, 20), kernel=(17, 17)), [("c", "weight", "kernel")]),
        (core(kernel=(3, 5)), [("c", "weight", "kernel")]),
        (core(stride=(4, 8)), []),
        (core(stride=(1, 3)), [("c", "stride", "stride")]),
        (core(padding=(7, 1)), []),
        (core(padding=(8, 1)), [("c", "padding", "padding")]),
        (core(kernel=(1, 1), padding="valid"), []),
        (core(padding="same"), []),
        (core(padding="same", dilation=8), [("c", "padding", "padding")]),
        (core((1, 128, 128), stride=2), []),
        (core((1, 129, 129), stride=4), [("c", None, "input map")]),
        (core((1, 68, 9)), [("c", None, "output map")]),
        (core((1, 1, 1), c_out=1024, kernel=(1, 1)), []),
        (core((1, 1, 1), c_out=1025, kernel=(1, 1)), [("c", "weight", "channels")]),
        (core((1025, 1, 1), c_out=1, kernel=(1, 1)), [("c", "weight", "channels")]),
    ],
)
def test_a_core(graph: nir.NIRGraph, expected: list[Any]) -> None:
    assert found(graph) == expected


@pytest.mark.parametrize("pool", [nir.SumPool2d, nir.AvgPool2d])
@pytest.mark.parametrize(("window", "kept"), [(1, True), (4, True), (3, False), ((2, 4), False)])
def test_pooling_windows(pool: type[Any], window: Any, kept: bool) -> None:
    node = pool(np.array(window), np.array(window), np.array([0, 0]))
    expected = [] if kept else [("p", "kernel_size", "pooling window")]
    assert found(chain((2, 10, 10), c=conv(), n=fires(2, 8, 8), p=node)) == expected


def test_a_linear_counts_as_a_convolution_over_the_flattened_map() -> None:
    def graph(side: int) -> nir.NIRGraph:
        flat = nir.Flatten(input_type={"input": np.array([1, side, side])}, start_dim=0, end_dim=-1)
        weight = nir.Affine(np.ones((3, side * side), np.float32), np.zeros(3, np.float32))
        return chain((1, side, side), f=flat, w=weight, n=fires(3))

    assert found(graph(16)) == []
    assert found(graph(17)) == [("w", "weight", "kernel")]
    plain = chain((1025,), w=nir.Linear(np.ones((2, 1025), np.float32)), n=fires(2))
    assert found(plain) == [("w", "weight", "channels")]


def test_flattening_something_else_than_maps() -> None:
    flat = nir.Flatten(input_type={"input": np.array([2, 3])}, start_dim=0, end_dim=-1)
    assert found(chain((2, 3), f=flat, w=nir.Linear(np.ones((2, 6))), n=fires(2))) == []


# Speck: how cores are wired and placed


def layers(count: int) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {}
    for i in range(count):
        nodes |= {f"c{i}": conv(kernel=(1, 1)), f"n{i}": fires(*SHAPE)}
    return chain(SHAPE, **nodes)


def test_number_of_cores() -> None:
    assert found(layers(9)) == []
    # the tenth finds no memory either
    assert found(layers(10)) == [(None, None, "layers"), ("c9", None, "memory")]


def test_memory_of_one_core() -> None:
    # 16 * 32 * 4 * 4 = 8 Ki entries of kernels, as in the documentation, and 128 Ki of neurons
    big = core((16, 64, 64), c_out=32, padding=1)
    (finding,) = targets.check(big, "speck2f")
    assert (finding.node, finding.limit.what) == ("c", "memory")
    assert finding.found == "8192/131072, which no free core has"
    assert found(core((16, 64, 64), c_out=16, padding=1)) == []


def test_layers_make_room_for_each_other() -> None:
    # three cores have room for a wide layer; a small one that comes first must leave them
    def wide(*names: str) -> dict[str, nir.NIRNode]:
        return {
            key: node
            for name in names
            for key, node in (
                (f"c{name}", conv(16, 16, (1, 1))),
                (f"n{name}", fires(16, 64, 64)),
            )
        }

    assert found(chain((16, 64, 64), **wide("a", "b", "c"))) == []
    assert found(chain((16, 64, 64), **wide("a", "b", "c", "d"))) == [("cd", None, "memory")]
    small_first = {
        "cs": conv(16, 1, (1, 1)),
        "ns": fires(1, 64, 64),
        "cw": conv(1, 16, (1, 1)),
        "nw": fires(16, 64, 64),
        **wide("a", "b"),
    }
    assert found(chain((16, 64, 64), **small_first)) == []


def test_order_in_a_core() -> None:
    two = chain(SHAPE, a=conv(kernel=(1, 1)), b=conv(kernel=(1, 1)), n=fires(*SHAPE))
    assert found(two) == [("a", None, "order")]
    assert "leads to 'b' (Conv2d)" in str(targets.check(two, "speck2f")[0])
    assert found(chain(SHAPE, n=fires(*SHAPE))) == [("n", None, "order")]
    last = chain(SHAPE, c=conv())
    assert found(last) == [("c", None, "order")]


def branching(count: int, pooled: bool = False) -> nir.NIRGraph:
    graph = core((2, 8, 8), kernel=(1, 1))
    graph.edges = [edge for edge in graph.edges if edge[1] != "output"]
    start = "n"
    if pooled:
        graph.nodes["p"] = nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))
        graph.nodes["q"] = nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))
        graph.edges += [("n", "p"), ("p", "q")]
        start = "q"
    for i in range(count):
        graph.nodes |= {f"b{i}": conv(kernel=(1, 1)), f"m{i}": fires(*SHAPE)}
        graph.edges += [(start, f"b{i}"), (f"b{i}", f"m{i}"), (f"m{i}", "output")]
    return graph


@pytest.mark.parametrize("pooled", [False, True])
def test_destinations(pooled: bool) -> None:
    assert found(branching(2, pooled)) == []
    assert found(branching(3, pooled)) == [("n", None, "destinations")]


# weights


def weighted(*values: float, dtype: Any = np.float32) -> nir.NIRGraph:
    weight = np.array([values], dtype)
    return chain((len(values),), w=nir.Linear(weight), n=fires(1))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ((0.0, 0.0), True),
        ((127.0, -128.0, 1.0), True),
        ((128.0, -127.0, 1.0), False),
        ((129.0, 1.0), False),
        ((0.127, -0.001, 0.0), True),  # steps of 0.001, not exact in float32
        ((2.0, 254.0, -256.0), True),  # steps of 2
        ((0.3, 0.1414, 0.2718), False),
        (tuple(range(-150, 150)), False),
    ],
)
def test_weight_bits(values: tuple[float, ...], kept: bool) -> None:
    expected = [] if kept else [("w", "weight", "weights")]
    assert found(weighted(*values), "loihi2") == expected


def test_weights_that_only_a_sample_of_them_fits() -> None:
    values = [float(v) for v in range(1, 121)]
    values[1] += 0.3
    assert found(weighted(*values), "loihi2") == [("w", "weight", "weights")]


@pytest.mark.parametrize(("largest", "kept"), [(63, True), (64, False)])
def test_weight_steps(largest: int, kept: bool) -> None:
    graph = dense(2, 1, kind=nir.CubaLIF)
    graph.nodes["w0"] = nir.Linear(np.array([[1.0, -largest]]))
    assert found(graph, "brainscales2") == ([] if kept else [("w0", "weight", "weights")])


# Xylo, Loihi 2, SpiNNaker2, BrainScaleS-2


@pytest.mark.parametrize(
    ("graph", "target", "expected"),
    [
        (dense(16, 60, 8), "xylo_audio2", []),
        (dense(16, 60, 8, kind=nir.CubaLIF), "xylo_audio3", []),
        (dense(17, 60, 8), "xylo_audio3", [(None, None, "input channels")]),
        (dense(16, 60, 9), "xylo_audio2", [(None, None, "output neurons")]),
        (dense(16, 60, 9), "xylo_imu", []),
        (dense(16, 497, 9), "xylo_imu", [(None, None, "hidden neurons")]),
        (dense(16, 1000, 8), "xylo_audio2", []),
        (dense(16, 1001, 8), "xylo_audio2", [(None, None, "hidden neurons")]),
        (dense(16, 8, 64, 8), "xylo_audio2", []),
        (dense(16, 8, 65, 8), "xylo_audio2", [("n0", None, "fan-out")]),
        (dense(16, 8, soft=False), "xylo_audio2", [("n0", "v_reset", "reset")]),
        (dense(16, 8, kind=nir.IF), "xylo_audio2", [("n0", None, "type of node")]),
        (dense(16, 8), "loihi2", []),
        (dense(16, 8), "spinnaker2", []),
        (chain((2,), t=nir.Threshold(np.ones(2))), "spinnaker2", [("t", None, "type of node")]),
        (chain((2,), t=nir.Threshold(np.ones(2))), "loihi2", [("t", None, "type of node")]),
        (dense(16, 8), "brainscales2", [("n0", None, "type of node")]),
        (dense(2, 512, kind=nir.CubaLIF), "brainscales2", []),
        (dense(2, 513, kind=nir.CubaLIF), "brainscales2", [(None, None, "neurons")]),
        (dense(256, 512, kind=nir.CubaLIF), "brainscales2", []),
        (dense(257, 512, kind=nir.CubaLIF), "brainscales2", [(None, None, "synapses")]),
    ],
)
def test_other_chips(graph: nir.NIRGraph, target: str, expected: list[Any]) -> None:
    assert found(graph, target) == expected


def test_neurons_of_loihi2() -> None:
    graph = dense(1, 1)
    graph.nodes["n0"] = fires(1_000_001, kind=nir.LIF)
    graph.nodes["w0"] = nir.Linear(np.ones((1_000_001, 1), np.float32))
    assert found(graph, "loihi2") == [(None, None, "neurons")]


def test_fan_out_of_direct_edges() -> None:
    graph = dense(2, 3, 3)
    graph.nodes["w1"] = nir.Linear(np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 0]]))
    graph.edges += [("n0", "n1"), ("n0", "output")]
    limit = Limit("fan-out", 2, "neurons", "here", rules.fan_out)
    (finding,) = targets.check(graph, Target("mine", "mine", None, "", (limit,)))
    assert finding.node == "n0"
    assert finding.found == "3"


# targets as such


def test_every_limit_names_its_document() -> None:
    for name in targets.names():
        target = targets.get(name)
        assert target.name == name
        assert target.nodes
        for source in (target.nodes_source, *(limit.source for limit in target.limits)):
            assert "https://" in source, (name, source)


def test_unknown_targets() -> None:
    with pytest.raises(ValueError, match=r"'speck2'.*did you mean 'speck2[ef]'.*xylo_imu"):
        targets.get("speck2")
    with pytest.raises(ValueError, match="no target 'zzz'"):
        targets.check(core(), "zzz")
    with pytest.raises(TypeError, match="name or a Target, got int"):
        targets.check(core(), 3)  # type: ignore[arg-type]


def test_a_target_of_ones_own() -> None:
    def no_bias(program: Any, limit: Limit) -> Any:
        for name, node in program.graph.nodes.items():
            if np.any(getattr(node, "bias", 0)):
                yield Finding(name, "bias", limit, "not 0")

    mine = Target(
        "mine",
        "my chip",
        None,
        "",
        (
            Limit("weights", 4, "bits", "data sheet, page 3", rules.weight_bits),
            Limit("bias", "none", "", "data sheet, page 4", no_bias),
        ),
    )
    graph = chain((1,), w=nir.Affine(np.array([[9.0], [1.0]]), np.ones(2)), n=fires(2))
    text = targets.report(targets.check(graph, mine), mine)
    assert text.splitlines() == [
        "mine: 2 findings (my chip)",
        "  node 'w', field 'weight': weights: 2 different values without a common step that fits "
        "(limit: 4 bits) [1]",
        "  node 'w', field 'bias': bias: not 0 (limit: none) [2]",
        "  [1] data sheet, page 3",
        "  [2] data sheet, page 4",
    ]
    graph = chain((1,), w=nir.Linear(np.array([[7.0], [1.0]])), n=fires(2))
    assert targets.report(targets.check(graph, mine), mine) == "mine: nothing found (my chip)"


def test_report_of_one_finding_about_the_graph() -> None:
    target = targets.get("xylo_imu")
    (finding,) = findings = targets.check(dense(17, 3), target)
    assert finding.source.startswith("Rockpool documentation")
    assert targets.report(findings, target).splitlines()[:2] == [
        "xylo_imu: 1 finding (SynSense Xylo IMU through Rockpool)",
        "  graph: input channels: 17 (limit: 16) [1]",
    ]


def test_memory_is_shown_core_by_core() -> None:
    (limit,) = (x for x in targets.get("speck2e").limits if x.what == "memory")
    assert limit.shown.startswith("16384/65536, 16384/65536")


def test_files_and_nested_graphs(tmp_path: Path) -> None:
    inner = dense(2, 3, soft=False)
    inner.nodes["output"] = nir.Output(np.array([3]))
    outer = nir.NIRGraph(
        {"input": nir.Input(np.array([2])), "g": inner, "output": nir.Output(np.array([3]))},
        [("input", "g"), ("g", "output")],
        type_check=False,
    )
    sj_nir.write_graph(tmp_path / "g.nir", outer)
    assert found(tmp_path / "g.nir", "xylo_imu") == [("g/n0", "v_reset", "reset")]
    with pytest.raises(FileNotFoundError):
        targets.check(tmp_path / "missing.nir", "xylo_imu")


def test_single_numbers_for_all_neurons_are_no_obstacle() -> None:
    neuron = nir.IF(np.array(1.0), np.array(1.0), np.array(0.0))
    graph = chain((2,), w=nir.Linear(np.ones((3, 2))), n=neuron)
    assert found(graph) == []
    assert np.shape(graph.nodes["n"].r) == ()  # type: ignore[attr-defined]
