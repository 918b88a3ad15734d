"""Random NIR graphs: what import into torch computes, against the interpreter."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sj_nir
from sj_neurons import functional

T, N, SIZE, DT = 5, 2, 3, 1e-3
Draw = Callable[[Any], Any]


def values(random: np.random.Generator, low: float, high: float) -> np.ndarray:
    """One number for each neuron; sometimes all the same."""
    drawn = random.uniform(low, high, SIZE)
    return drawn if random.random() < 0.5 else np.full(SIZE, drawn[0])


def node_of(kind: str, random: np.random.Generator) -> Any:
    """A node from SIZE numbers to SIZE numbers."""
    firing = {"v_threshold": values(random, 0.1, 1.0), "v_reset": values(random, -0.3, 0.05)}
    leak = {"r": values(random, 0.5, 3.0), "v_leak": values(random, -0.2, 0.2)}
    taus = {name: values(random, DT, 20 * DT) for name in ("tau_syn", "tau_mem")}
    weight = random.normal(0, 0.8, (SIZE, SIZE)).astype(np.float32)
    makers: dict[str, Callable[[], Any]] = {
        "affine": lambda: nir.Affine(weight, random.normal(0, 0.3, SIZE).astype(np.float32)),
        "linear": lambda: nir.Linear(weight),
        "scale": lambda: nir.Scale(random.normal(0, 1, SIZE)),
        "threshold": lambda: nir.Threshold(values(random, 0.0, 1.0)),
        "delay": lambda: nir.Delay(random.integers(0, 3, SIZE) * DT),
        "i": lambda: nir.I(values(random, 0.1, 1.0) / DT),
        "if": lambda: nir.IF(values(random, 0.3, 1.0) / DT, **firing),
        "li": lambda: nir.LI(taus["tau_mem"], **leak),
        "lif": lambda: nir.LIF(taus["tau_mem"], **leak, **firing),
        "cubali": lambda: nir.CubaLI(**taus, **leak, w_in=values(random, 0.5, 2.0)),
        "cubalif": lambda: nir.CubaLIF(**taus, **leak, **firing, w_in=values(random, 0.5, 2.0)),
    }
    return makers[kind]()


WITHOUT_STATE = ("affine", "linear", "scale", "threshold")
NEURONS = ("i", "if", "li", "lif", "cubali", "cubalif")


def end(kind: Any) -> Any:
    return kind(np.array([SIZE]))


@st.composite
def graphs(draw: Draw, depth: int = 1) -> nir.NIRGraph:
    """A chain with extra edges, forwards and backwards."""
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    kinds = draw(
        st.lists(st.sampled_from([*WITHOUT_STATE, *NEURONS, "delay", "nested"]), min_size=1,
                 max_size=5)
    )  # fmt: skip
    nodes: dict[str, Any] = {"in": end(nir.Input)}
    for number, kind in enumerate(kinds):
        name = f"{chr(ord('z') - number)}_{kind}"  # files list them in another order
        if kind == "nested":
            nodes[name] = draw(graphs(0)) if depth else node_of("linear", random)
        else:
            nodes[name] = node_of(kind, random)
    chain = list(nodes)
    edges = list(itertools.pairwise(chain))
    places = st.integers(0, len(chain) - 1)
    for _ in range(draw(st.integers(0, 3))):
        edge = chain[draw(places)], chain[draw(places)]
        if edge[1] != "in" and edge not in edges:
            edges.append(edge)
    nodes["out"] = end(nir.Output)
    edges.append((chain[-1], "out"))
    if depth and draw(st.booleans()):
        nodes["also"] = end(nir.Output)
        edges.append((draw(st.sampled_from(chain)), "also"))
    return nir.NIRGraph(nodes, draw(st.permutations(edges)), type_check=False)


@settings(max_examples=settings().max_examples // 2)
@given(
    graph=graphs(),
    step_mode=st.sampled_from(["s", "m"]),
    cut=st.sampled_from(["neuron", "current"]),
    reset=st.sampled_from(["hard", "soft"]),
    threshold=st.sampled_from([">", ">="]),
    if_dt=st.sampled_from([None, 2 * DT]),
)
def test_import_computes_what_the_interpreter_does(
    graph: nir.NIRGraph,
    step_mode: str,
    cut: str,
    reset: str,
    threshold: str,
    if_dt: float | None,
) -> None:
    choices: dict[str, Any] = {
        "reset": reset, "threshold": threshold, "cut": cut, "if_dt": if_dt
    }  # fmt: skip
    x_seq = 2 * torch.rand(T, N, SIZE)
    try:
        net = sj_nir.import_from_nir(graph, DT, step_mode=step_mode, **choices)
    except sj_nir.NIRGraphError as error:
        assert "no node with state" in str(error)
        with pytest.raises(sj_nir.NIRGraphError):
            sj_nir.interpret(graph, x_seq.numpy(), DT, **choices)
        return
    report = sj_nir.verify(net, graph, {"in": x_seq}, DT, **choices, atol=1e-4, rtol=1e-4)
    report.raise_if_different()
    functional.reset_net(net)
    with torch.no_grad():
        found = net({"in": x_seq if step_mode == "m" else x_seq[0]})[0]
    free = sj_nir.interpret(graph, x_seq.numpy(), DT, **choices)
    if free.margin > 1e-3:  # no spike is decided by rounding
        for name, value in free.outputs.items():
            ours = found[name] if step_mode == "m" else found[name].unsqueeze(0)
            np.testing.assert_allclose(ours.numpy(), value[: len(ours)], rtol=1e-3, atol=1e-3)
