"""The adjoint of a program gives what autograd gives."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from sj_neurons import ops
from sj_neurons.kernels.differentiate import differentiate
from sj_neurons.kernels.graph import OPERATIONS, Graph, Program
from sj_neurons.kernels.symbols import Recorder

_NAMES = {"not": "logical_not", "and": "logical_and", "or": "logical_or"}


def evaluated(graph: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The value of each node, by torch, with its gradient."""
    values: list[Tensor] = []
    for node in graph:
        args = [values[i] for i in node.args]
        if node.op == "literal":
            values.append(torch.tensor(node.value, dtype=torch.float64))
        elif node.op == "input":
            values.append(inputs[node.value])
        elif node.op == "fire":
            spike, u, derivative = (arg.detach() for arg in args)
            values.append(spike + (args[1] - u) * derivative)
        else:
            values.append(getattr(torch, _NAMES.get(node.op, node.op))(*args))
    return values


def both_gradients(
    program: Program, inputs: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """Gradients by name from the adjoint and from autograd, and the values of all nodes."""
    adjoint = differentiate(program)
    incoming = {"gs": torch.tensor(0.75), "g0": torch.tensor(-1.5), "g1": torch.tensor(0.5)}
    incoming = {name: value.double().expand_as(inputs["x"]) for name, value in incoming.items()}
    values = evaluated(adjoint.graph, inputs | incoming)
    found = (adjoint.x, *adjoint.states, *adjoint.parameters)
    given_to = dict(zip(("x", "v0", "p0"), found, strict=False))
    zero = torch.zeros_like(inputs["x"])
    ours = {
        name: zero if index is None else values[index].expand_as(zero)
        for name, index in given_to.items()
    }

    leaves = {name: inputs[name].clone().requires_grad_() for name in given_to}
    primal = evaluated(program.nodes, inputs | leaves)
    outputs = [primal[i].expand_as(zero) for i in program.outputs]
    total = sum((o * g).sum() for o, g in zip(outputs, incoming.values(), strict=False))
    wanted = list(leaves.values())
    if isinstance(total, Tensor) and total.requires_grad:
        theirs = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
    else:
        theirs = [zero] * len(wanted)
    return ours, dict(zip(leaves, theirs, strict=True)), primal


def program_of(make: Any, **inputs: Tensor) -> Program:
    """The program whose outputs `make(x, v, p, k)` returns as symbols."""
    recorder = Recorder()
    outputs = make(*(recorder.input(name) for name in ("x", "v0", "p0", "k0")))
    indices = [recorder.number(output) for output in outputs]
    return Program.of(recorder.graph, indices, 1, 1)


POINTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, math.nan)
GRID = torch.tensor(list(itertools.product(POINTS, repeat=2)), dtype=torch.float64)


def check(make: Any, **fixed: float) -> None:
    x, v = GRID.T
    inputs = {"x": x, "v0": v, "p0": v.flip(0), "k0": torch.full_like(x, 0.5)}
    inputs |= {name: torch.full_like(x, value) for name, value in fixed.items()}
    ours, theirs, _ = both_gradients(program_of(make), inputs)
    for name, reference in theirs.items():
        torch.testing.assert_close(
            ours[name], reference, rtol=1e-12, atol=1e-12, equal_nan=True, msg=f"gradient to {name}"
        )


UNARY = ["neg", "exp", "log", "sin", "cos", "tanh", "sigmoid", "atan", "erf", "abs", "sign"]
BINARY = ["add", "sub", "mul", "div", "pow", "minimum", "maximum"]
TRUTHS = ["lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", [*UNARY, "round", "detach"])
def test_functions_of_one_number(name):
    check(lambda x, v, p, k: (x.__sj_op__(name, (x,)), x * v))


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers_ties_included(name):
    def apply(a: Any, b: Any) -> Any:
        symbol = a if hasattr(a, "__sj_op__") else b
        return symbol.__sj_op__(name, (a, b))

    check(lambda x, v, p, k: (apply(x, v), apply(p, x)))
    for number in (-1.0, 0.0, 0.5, 1.0, 3.0):
        check(lambda x, v, p, k, n=number: (apply(x, n), apply(n, v)))
    check(lambda x, v, p, k: (apply(x, k), apply(k, v)))
    check(lambda x, v, p, k: (apply(x, k), apply(k, v)), k0=0.0)


@pytest.mark.parametrize("name", TRUTHS)
def test_choices_by_comparison(name):
    check(lambda x, v, p, k: (ops.where(x.__sj_op__(name, (x, v)), x * v, p), v))


def test_choices_by_several_conditions():
    def make(x, v, p, k):
        inside = (x > -1.0) & ~(v >= 1.0) | (p == 0.5)
        return ops.where(inside, x * p, v), ops.where(inside, 1.0, x)

    check(make)


def test_clamp_passes_the_gradient_at_its_ends():
    def make(x, v, p, k):
        # torch has no gradient where there is nan, we pass it on: keep nan away
        x = ops.where(x == x, x, 0.0)
        return ops.clamp(x, -1.0, 1.0), v

    check(make)
    x = torch.tensor(POINTS[:-1], dtype=torch.float64)
    inputs = {"x": x, "v0": x, "p0": x, "k0": x}
    ours, _, _ = both_gradients(program_of(make), inputs)
    leaf = x.clone().requires_grad_()
    (reference,) = torch.autograd.grad((leaf.clamp(-1, 1) * 0.75).sum(), leaf)
    torch.testing.assert_close(ours["x"], reference)


def test_a_spike_passes_the_derivative_of_its_surrogate():
    recorder = Recorder()
    x = recorder.input("x")
    u = x - recorder.input("v0")
    nodes = (recorder.number(u >= 0), u.index, recorder.number(1.0 / (1.0 + abs(u))))
    spike = recorder.graph.op("fire", *nodes)
    program = Program.of(recorder.graph, [spike, recorder.number(u * u)], 0, 0)
    values = torch.linspace(-2, 2, 7, dtype=torch.float64)
    inputs = {"x": values, "v0": values * 0.3, "p0": values}
    ours, theirs, _ = both_gradients(program, inputs)
    torch.testing.assert_close(ours["x"], theirs["x"])
    torch.testing.assert_close(ours["x"], 0.75 / (1 + (0.7 * values).abs()) - 3 * 0.7 * values)


def test_gradients_that_are_always_zero_are_none():
    adjoint = differentiate(program_of(lambda x, v, p, k: (x.detach() * 2.0, ops.round(v) + k)))
    assert (adjoint.x, adjoint.states, adjoint.parameters) == (None, (None,), (None,))
    assert adjoint.outputs == [] and adjoint.needed() == set()
    adjoint = differentiate(program_of(lambda x, v, p, k: (x**0, k * x)))
    assert adjoint.x is not None and adjoint.states == (None,)


def test_one_node_may_be_several_outputs():
    check(lambda x, v, p, k: (x * v,) * 2)


# any program


COMMON = ["add", "sub", "mul", "where", "maximum", "div", "sigmoid", "fire"]
KINDS = {"not": "t", "and": "tt", "or": "tt", "where": "tnn"}


def program_from(seed: int) -> Program:
    """A program of two outputs over x, v0, p0, k0, of all operations."""
    draw = random.Random(seed)
    graph = Graph()
    numbers = [graph.literal(value) for value in (0.5, -1.0, 2.0)]
    numbers += [graph.input(name) for name in ("k0", "p0", "v0", "x")]
    truths = [graph.op("lt", numbers[-1], numbers[-2])]
    pools = {"t": truths, "n": numbers}
    for _ in range(draw.randint(4, 16)):
        name = draw.choice([*OPERATIONS, *COMMON, *COMMON])
        kinds = KINDS.get(name, "n" * OPERATIONS[name])
        # from the newest nodes, so that chains come about
        index = graph.op(name, *(draw.choice(pools[kind][-7:]) for kind in kinds))
        (truths if graph.nodes[index].is_truth else numbers).append(index)
    return Program.of(graph, [numbers[-1], numbers[-2]], 1, 1)


NUMBERS = st.sampled_from([-1.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0])


@given(st.integers(0, 10**9), st.lists(NUMBERS, min_size=4, max_size=4))
def test_any_program_differentiates_like_autograd(seed, point):
    program = program_from(seed)
    inputs = {
        name: torch.tensor([value], dtype=torch.float64)
        for name, value in zip(("x", "v0", "p0", "k0"), point, strict=True)
    }
    ours, theirs, values = both_gradients(program, inputs)
    # beyond, rounding and 0 * inf tell nothing about the rules
    assume(all(bool((v.abs() < 1e4).all()) for v in values if v.is_floating_point()))
    for name, reference in theirs.items():
        if bool(reference.isfinite().all()) and float(reference.abs()) < 1e6:
            torch.testing.assert_close(ours[name], reference, rtol=1e-8, atol=1e-8)


def test_long_chains_are_differentiated():
    def make(x, v, p, k):
        for _ in range(2500):
            v = v * p + x
        return v, v

    adjoint = differentiate(program_of(make))
    assert adjoint.primal > 5000 and None not in (adjoint.x, *adjoint.states)
