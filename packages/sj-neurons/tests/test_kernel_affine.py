"""Programs that scale and shift their input."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import select
from sj_neurons.kernels.affine import affine_program, with_affine_input
from sj_neurons.kernels.interpret import run_by_torch
from sj_neurons.kernels.trace import trace


def test_it_is_the_program_on_the_scaled_and_shifted_input() -> None:
    made = trace(neuron.ParametricLIFNode(2.0, v_reset=None))
    x, a, b = torch.randn(4, 3, 5), torch.rand(5), torch.randn(5)
    rate = torch.tensor(0.3)
    plain = run_by_torch(made.program.text, x * a + b, 4, [None], [rate], made.numbers, [0.0])
    text = with_affine_input(made.program.text)
    affine = run_by_torch(text, x, 4, [None], [rate, a, b], made.numbers, [0.0])
    torch.testing.assert_close(affine, plain, rtol=0, atol=0)


def test_it_can_be_repeated() -> None:
    made = trace(neuron.IFNode())
    twice = with_affine_input(with_affine_input(made.program.text))
    x, (a, b, c, d) = torch.randn(3, 7), torch.rand(4, 7)
    rest = [0.0]
    inner = run_by_torch(made.program.text, (x * c + d) * a + b, 3, [None], [], made.numbers, rest)
    outer = run_by_torch(twice, x, 3, [None], [a, b, c, d], made.numbers, rest)
    torch.testing.assert_close(outer, inner, rtol=0, atol=0)


def test_a_program_that_ignores_its_input_stays_so() -> None:
    def step(x: object, v: object, gain: object) -> tuple[object, object]:
        h = ops.minimum(v, 2.0) + gain
        return ops.fire(h - 1.0, surrogate.ATan()), h

    gain = nn.Parameter(torch.tensor(0.4))
    made = trace(neuron.from_step(step, states={"v": 0.0}, params={"gain": gain})())
    program = with_affine_input(made.program.text)
    assert "input x" not in program


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(select, "_failures", set())
    text = trace(neuron.LIFNode(surrogate_function=surrogate.ATan(1.75))).program.text
    text = with_affine_input(with_affine_input(text))  # nobody else has compiled this one
    with pytest.warns(UserWarning, match="cannot be compiled"):
        assert affine_program(text, "cpp", "cpu", torch.float32) is None
