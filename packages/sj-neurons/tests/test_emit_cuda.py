"""CUDA kernels, run on the CPU: the source that a GPU would get, with emulated threads.

All kernels that the cases below launch are collected first and compiled by g++ in one go.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import cuda, emit_cuda, trace
from sj_neurons.kernels.emit_cuda import Form
from sj_neurons.kernels.plan import plan

ATAN = surrogate.ATan()


def adaptive(x: Any, v: Any, a: Any, gain: Any, jump: Any, tau: Any) -> Any:
    h = v + (gain * x - v) / tau
    s = ops.fire(h - (1.0 + a), ATAN)
    return s, h * (1.0 - ops.detach(s)), a * 0.5 + jump * s


def per_channel() -> Any:
    """A two-state neuron of the user's own, with a gain per channel and one jump for all."""
    gain = nn.Parameter(torch.linspace(0.7, 1.6, 5)[:, None])
    params = {"gain": gain, "jump": nn.Parameter(torch.tensor(0.3)), "tau": 2.0}
    made = neuron.from_step(adaptive, states={"v": 0.0, "a": 0.0}, params=params)
    return made(step_mode="m")


def per_neuron() -> Any:
    gain = nn.Parameter(torch.linspace(0.7, 1.6, 330).reshape(3, 5, 22))
    params = {"gain": gain, "jump": nn.Parameter(torch.tensor(0.3)), "tau": 2.0}
    made = neuron.from_step(adaptive, states={"v": 0.0, "a": 0.0}, params=params)
    return made(step_mode="m")


def built(cls: Any, *args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: cls(*args, surrogate_function=ATAN, step_mode="m", **options)


LIF = built(neuron.LIFNode, 2.0, detach_reset=True)
SOFT = built(neuron.LIFNode, 4.0, decay_input=False, v_reset=None)
PLIF = built(neuron.ParametricLIFNode, 2.0)
EIF = built(neuron.EIFNode, 4.0)


@dataclass(frozen=True)
class Case:
    """What a neuron is run on; `wide` lets threads take several neurons."""

    build: Callable[[], Any]
    T: int
    dtype: torch.dtype = torch.float32
    shape: tuple[int, ...] = (3, 5, 22)
    wide: bool = False
    repeated: bool = False
    initial: bool = False
    v_seq: bool = False
    ordered: bool = False
    only: str = ""  # 'states' or 'last': the one gradient asked for, or given
    exact: bool = True  # spikes and states equal torch's to the last bit


HALF, BF16, DOUBLE = torch.float16, torch.bfloat16, torch.float64
ALIGNED = (4, 5, 16)
CASES = {
    "lif": Case(LIF, 5),
    "lif-one-step": Case(LIF, 1, v_seq=True),
    "lif-32-steps": Case(LIF, 32, v_seq=True),
    "lif-by-segments": Case(LIF, 41, v_seq=True, initial=True),
    "lif-whole-segments": Case(LIF, 48),
    "lif-wide": Case(LIF, 5, shape=ALIGNED, wide=True, v_seq=True, initial=True),
    "lif-wide-long": Case(LIF, 21, shape=ALIGNED, wide=True, repeated=True),
    "lif-half-wide": Case(LIF, 4, HALF, ALIGNED, wide=True, v_seq=True),
    "lif-bf16-wide": Case(LIF, 16, BF16, ALIGNED, wide=True, initial=True),
    "lif-bf16-by-segments": Case(LIF, 37, BF16),
    "lif-double-wide": Case(LIF, 5, DOUBLE, ALIGNED, wide=True, v_seq=True),
    "lif-repeated": Case(LIF, 6, repeated=True, v_seq=True),
    "lif-repeated-by-segments": Case(LIF, 50, repeated=True),
    "lif-only-states": Case(LIF, 5, initial=True, only="states"),
    "lif-only-last": Case(LIF, 5, initial=True, only="last"),
    "lif-in-parts": Case(LIF, 3, shape=(3, 1000)),
    "soft": Case(SOFT, 7, v_seq=True, initial=True),
    "soft-by-segments": Case(SOFT, 33, HALF),
    "if": Case(built(neuron.IFNode, v_reset=-0.25), 9, v_seq=True),
    "plif": Case(PLIF, 6, v_seq=True),
    "plif-ordered": Case(PLIF, 6, ordered=True, initial=True),
    "plif-by-segments": Case(PLIF, 40, repeated=True),
    "plif-wide": Case(PLIF, 3, BF16, ALIGNED, wide=True),
    "channels": Case(per_channel, 5, v_seq=True, initial=True),
    "channels-ordered": Case(per_channel, 5, ordered=True),
    "channels-wide": Case(per_channel, 5, shape=ALIGNED, wide=True),
    "channels-by-segments": Case(per_channel, 35, initial=True, v_seq=True),
    "neurons": Case(per_neuron, 4),
    "neurons-ordered-by-segments": Case(per_neuron, 33, ordered=True),
    "eif": Case(EIF, 8, v_seq=True, exact=False),
    "izhikevich": Case(built(neuron.IzhikevichNode, a=0.25, b=0.5), 8, initial=True, exact=False),
    "cuba": Case(built(neuron.CUBALIFNode), 6, initial=True, exact=False),
    "klif": Case(built(neuron.KLIFNode), 5, v_seq=True),
    "ternary": Case(built(neuron.TernaryLIFNode), 20, shape=ALIGNED, wide=True, exact=False),
    "smooth": Case(
        lambda: neuron.LIFNode(2.0, surrogate_function=surrogate.Sigmoid(spiking=False),
                               step_mode="m"), 4, v_seq=True, exact=False,
    ),
}  # fmt: skip


class Inputs:
    """The tensors of a case: what goes in, and the gradients of what comes out."""

    def __init__(self, case: Case) -> None:
        generator = torch.Generator().manual_seed(7)

        def rand(*shape: int, low: float = -0.5, high: float = 0.5) -> Tensor:
            values = low + (high - low) * torch.rand(shape, generator=generator)
            return values.to(case.dtype)

        frames = 1 if case.repeated else case.T
        self.node = case.build().to(DOUBLE if case.dtype == DOUBLE else torch.float32)
        self.names = trace.state_names(self.node)
        self.real = DOUBLE if case.dtype == DOUBLE else torch.float32
        self.x = rand(frames, *case.shape, low=-0.5, high=2.5)
        self.first = [rand(*case.shape).to(self.real) for _ in self.names]
        gs, gv = rand(case.T, *case.shape), rand(case.T, *case.shape)
        self.g_spikes = gs if not case.only else None
        self.g_v_seq = gv if case.v_seq else None
        last = [rand(*case.shape).to(self.real) for _ in self.names]
        self.g_last = last if case.only or case.initial else [None for _ in self.names]


@dataclass
class Results:
    spikes: Tensor
    v_seq: Tensor | None
    last: list[Tensor]
    grad_x: Tensor | None
    grad_first: list[Tensor]
    grad_parameters: list[Tensor]


def by_torch(case: Case) -> Results:
    """The torch backend, in float32 at least; outputs are rounded once."""
    given = Inputs(case)
    node, real = given.node, given.real
    x = given.x.to(real).requires_grad_(case.only != "states")
    first = [state.requires_grad_(case.initial) for state in given.first]
    if case.initial:
        node._memories.update(zip(given.names, first, strict=True))
    node.store_v_seq = True
    spikes = node(x.expand(case.T, *case.shape))
    last = [node._memories[name] for name in given.names]
    outputs = [(spikes, given.g_spikes), (node.v_seq, given.g_v_seq)]
    outputs += list(zip(last, given.g_last, strict=True))
    loss = sum((y * g.to(real)).sum() for y, g in outputs if g is not None)
    wanted = [*([x] if x.requires_grad else []), *(first if case.initial else [])]
    wanted += list(node.parameters())
    found = iter(torch.autograd.grad(loss, wanted))
    return Results(
        spikes.detach().to(case.dtype),
        node.v_seq.detach().to(case.dtype) if case.v_seq else None,
        [state.detach() for state in last],
        next(found).to(case.dtype) if x.requires_grad else None,
        [next(found) for _ in first] if case.initial else [],
        list(found),
    )


def spread(values: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, int, int]:
    """A parameter as the launcher takes it: values, inner, size."""
    padded = (1,) * (len(shape) - values.dim()) + tuple(values.shape)
    dims = [d for d, length in enumerate(padded) if length > 1]
    inner = torch.Size(shape[dims[-1] + 1 :]).numel() if dims else 1
    return values.detach().flatten().contiguous(), inner, values.numel()


def by_kernels(case: Case) -> Results:
    """The CUDA launchers, on tensors in the memory of the CPU."""
    given = Inputs(case)
    T, N = case.T, torch.Size(case.shape).numel()
    made = trace.trace(given.node)
    tensors = made.parameters(given.node, len(case.shape), given.real)
    parameters = [spread(tensor, case.shape) for tensor in tensors]
    x = given.x.reshape(-1, N)
    x = x.as_strided((1, N), (0, 1)) if case.repeated else x
    states = [s.flatten() if case.initial else None for s in given.first]
    rest = [float(given.node._memories[name]) for name in given.names]
    spikes = torch.full((T, N), torch.nan, dtype=case.dtype)
    v_seq = torch.full_like(spikes, torch.nan) if case.v_seq else None
    last = [torch.full((N,), torch.nan, dtype=given.real) for _ in states]
    program = made.program.text
    common = (program, x, T, states, parameters, made.numbers, rest)
    cuda.forward(*common, spikes, v_seq, last)

    def flat(gradient: Tensor | None) -> Tensor | None:
        return None if gradient is None else gradient.reshape(-1, N)

    grad_x = torch.full_like(given.x.reshape(-1, N), torch.nan)
    if case.repeated:
        grad_x = grad_x.as_strided((1, N), (0, 1))
    grad_first = [torch.full((N,), torch.nan, dtype=given.real) for _ in states]
    sums = [torch.zeros(1 if s == N else 3, s, dtype=DOUBLE) for _, _, s in parameters]
    cuda.backward(
        *common,
        flat(given.g_spikes),
        flat(given.g_v_seq),
        [None if g is None else g.flatten() for g in given.g_last],
        None if case.only == "states" else grad_x,
        grad_first if case.initial else [None for _ in states],
        sums,
    )
    grad_parameters: list[Tensor] = []
    if parameters:
        totals = [s.sum(0).reshape(t.shape).to(t) for s, t in zip(sums, tensors, strict=True)]
        grad_parameters = list(
            torch.autograd.grad(tensors, list(given.node.parameters()), grad_outputs=totals)
        )
    return Results(
        spikes.reshape(T, *case.shape),
        None if v_seq is None else v_seq.reshape(T, *case.shape),
        [state.reshape(case.shape) for state in last],
        None if case.only == "states" else grad_x.reshape(given.x.shape),
        [g.reshape(case.shape) for g in grad_first] if case.initial else [],
        grad_parameters,
    )


class Emulator:
    """Stands in for the GPU: `collect` notes which kernels are wanted, `run` runs them."""

    def __init__(self) -> None:
        self.kernels: dict[str, cuda.Launch] = {}
        self.library: ctypes.CDLL | None = None
        self.widths: set[tuple[str, int]] = set()

    def run(self, launch: cuda.Launch, device: torch.device) -> None:
        name = cuda._source(launch.program, launch.dtype, launch.form)[1]
        self.kernels.setdefault(name, launch)
        if self.library is None:
            return
        self.widths.add((launch.dtype, launch.form.width))
        integers = [a for a in launch.arguments if isinstance(a, int)]
        reals = [float(a) for a in launch.arguments if isinstance(a, np.floating)]
        assert len(integers) + len(reals) == len(launch.arguments)
        getattr(self.library, f"call_{name}")(
            launch.grid,
            launch.block,
            (ctypes.c_int64 * len(integers))(*integers),
            (ctypes.c_double * len(reals))(*reals),
        )

    def compile(self, folder: Path) -> None:
        header = Path(__file__).with_name("cuda_emulation.h").read_text()
        parts = [header, emit_cuda.prelude()]
        programs: dict[tuple[str, str, str], list[Form]] = {}
        for name, launch in self.kernels.items():
            base = name.removesuffix(f"_{launch.form.suffix}")
            programs.setdefault((base, launch.program, launch.dtype), []).append(launch.form)
        for (base, program, dtype), forms in programs.items():
            parts.append(emit_cuda.cuda_source(plan(program), dtype, base, forms))
        parts += [self._wrapper(launch, name) for name, launch in self.kernels.items()]
        text = folder / "kernels.cpp"
        text.write_text("\n".join(parts))
        command = ["g++", "-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-w"]
        command += ["-fPIC", "-shared", str(text), "-o", str(folder / "kernels.so")]
        subprocess.run(command, check=True)
        self.library = ctypes.CDLL(str(folder / "kernels.so"))

    @staticmethod
    def _wrapper(launch: cuda.Launch, name: str) -> str:
        kinds = emit_cuda.kernel_arguments(plan(launch.program), launch.dtype, launch.form)
        counts = {"integers": 0, "reals": 0}
        arguments = []
        for kind, _ in kinds:
            array = "reals" if kind in ("double", "float") else "integers"
            cast = kind.replace("__restrict__", "")
            arguments.append(f"({cast}){array}[{counts[array]}]")
            counts[array] += 1
        return (
            f'extern "C" void call_{name}(unsigned grid, unsigned block, '
            "const int64_t* integers, const double* reals) {\n"
            f"    emulation::launch(grid, block, [&] {{ {name}({', '.join(arguments)}); }});\n}}"
        )


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    made = Emulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_run", made.run)
        for case in CASES.values():
            in_mode(case, by_kernels)
        made.compile(tmp_path_factory.mktemp("cuda"))
        yield made


def in_mode(case: Case, function: Callable[[Case], Results]) -> Results:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_WIDE", 1 if case.wide else 1 << 62)
        torch.use_deterministic_algorithms(case.ordered)
        try:
            return function(case)
        finally:
            torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_kernels_equal_the_torch_backend(emulator: Emulator, case: Case) -> None:
    ours, expected = in_mode(case, by_kernels), by_torch(case)
    rounding = {torch.float32: 0.0, DOUBLE: 0.0, HALF: 1e-3, BF16: 8e-3}[case.dtype]
    close = {"rtol": 0.0, "atol": 0.0} if case.exact else {"rtol": 1e-5, "atol": 1e-6}
    assert expected.spikes.unique().numel() > 1  # a silent neuron proves little
    torch.testing.assert_close(ours.spikes, expected.spikes, **close)
    if expected.v_seq is not None:
        torch.testing.assert_close(ours.v_seq, expected.v_seq, **close)
    torch.testing.assert_close(ours.last, expected.last, **close)
    tolerance = {"rtol": rounding, "atol": 2e-6}
    if expected.grad_x is not None:
        torch.testing.assert_close(ours.grad_x, expected.grad_x, **tolerance)
    torch.testing.assert_close(ours.grad_first, expected.grad_first, rtol=1e-6, atol=2e-6)
    torch.testing.assert_close(ours.grad_parameters, expected.grad_parameters, rtol=1e-5, atol=1e-4)


def test_cases_cover_every_width_and_form(emulator: Emulator) -> None:
    forms = [launch.form for launch in emulator.kernels.values()]
    assert {("float32", 4), ("bfloat16", 8), ("float16", 8), ("float64", 2)} <= {
        (launch.dtype, launch.form.width) for launch in emulator.kernels.values()
    }
    assert {form.steps for form in forms if form.direction == "backward"} >= {0, 1, 4, 16, 32}


def test_division_by_a_number_multiplies_by_its_reciprocal() -> None:
    text = source_of(LIF())
    assert "* r0;" in text
    by_tensor = neuron.from_step(
        lambda x, v, w: (ops.fire(v + x / w, ATAN), x / 3.0),
        states={"v": 0.0}, params={"w": nn.Parameter(torch.tensor(2.0))}, name="ByTensor",
    )  # fmt: skip
    text = source_of(by_tensor(step_mode="m"))
    assert "x / p0;" in text and "x * (R(1) / R(3.0));" in text


def test_roots_are_no_powers() -> None:
    made = neuron.from_step(
        lambda x, v: (ops.fire(v + x, ATAN), ops.pow(v, 0.5) + v**1.7 + v ** (-0.5)),
        states={"v": 0.0}, name="Powers",
    )  # fmt: skip
    text = source_of(made(step_mode="m"))
    assert "= sj::square_root(v0);" in text
    assert "R(1) / sj::square_root(v0);" in text and "sj::power(v0, R(1.7));" in text


def test_a_program_without_gradients_has_no_backward_kernels() -> None:
    signs = neuron.from_step(
        lambda x, v: (ops.sign(x + v), ops.sign(v)), states={"v": 0.0}, name="S"
    )
    made = plan(trace.trace(signs()).program.text)
    assert not made.has_gradient
    text = emit_cuda.cuda_source(made, "float32", "name", [Form("backward"), Form("forward")])
    assert "name_forward_w1" in text and "backward" not in text


def source_of(node: Any) -> str:
    made = plan(trace.trace(node).program.text)
    return emit_cuda.cuda_source(made, "float32", "name", [Form("forward")])
