"""The fused CUDA kernels on a GPU, against the torch backend on the same GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import cuda

pytestmark = pytest.mark.gpu

ATAN = surrogate.ATan()
DATA = Path(__file__).resolve().parents[3] / "tests" / "conformance" / "data" / "neurons"


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    reason = cuda.why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    torch.manual_seed(0)
    yield
    torch.cuda.synchronize()


def learning_gain(x: Any, v: Any, a: Any, gain: Any, tau: Any) -> Any:
    h = v + (gain * x - v) / tau
    s = ops.fire(h - (1.0 + a), ATAN)
    return s, h * (1.0 - s), a * 0.5 + 0.3 * s


def adaptive(shape: tuple[int, ...], **options: Any) -> Any:
    """A neuron of the user's own, with a learnable gain of this shape."""
    params = {"gain": nn.Parameter(torch.linspace(0.7, 1.6, torch.Size(shape).numel()).view(shape)),
              "tau": 2.3}  # fmt: skip
    made = neuron.from_step(learning_gain, states={"v": 0.0, "a": 0.0}, params=params)
    return made(**options)


def made(cls: Any, *args: Any, **fixed: Any) -> Callable[..., Any]:
    return lambda **options: cls(*args, surrogate_function=ATAN, step_mode="m", **fixed, **options)


EXACT = {
    "if": made(neuron.IFNode),
    "if-soft": made(neuron.IFNode, v_reset=None),
    "lif": made(neuron.LIFNode, 2.0, detach_reset=True),
    "lif-1.7": made(neuron.LIFNode, 1.7),
    "lif-3-soft": made(neuron.LIFNode, 3.0, v_reset=None),
    "lif-5.3-offset": made(neuron.LIFNode, 5.3, decay_input=False, v_reset=-0.2),
    "plif": made(neuron.ParametricLIFNode, 3.0),
    "plif-soft": made(neuron.ParametricLIFNode, 2.0, decay_input=False, v_reset=None),
    "half-threshold": lambda: neuron.HalfThresholdIFNode(step_mode="m"),
}
CLOSE = {
    "qif": made(neuron.QIFNode),
    "eif": made(neuron.EIFNode),
    "izhikevich": made(neuron.IzhikevichNode, a=0.3, b=0.2),
    "klif": made(neuron.KLIFNode),
    "cuba": made(neuron.CUBALIFNode),
    "complementary": lambda: neuron.ComplementaryLIFNode(step_mode="m"),
    "ternary": made(neuron.TernaryLIFNode),
    "resonate": made(neuron.RAFNode),
    "activation-aware": made(neuron.ActivationAwareIFNode),
    "own": lambda: adaptive((), step_mode="m"),
    "own-channels": lambda: adaptive((48, 1), step_mode="m"),
}  # fmt: skip


def sequence(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.rand(shape, device="cuda") * 3.8 - 0.5).to(dtype)


def run(
    build: Callable[[], Any],
    backend: str,
    x: Tensor,
    *,
    v_seq: bool = False,
    initial: Tensor | None = None,
) -> dict[str, Tensor]:
    """Outputs and gradients; 16-bit torch results are those in float32, rounded once."""
    dtype = x.dtype
    wide = x.float() if backend == "torch" and dtype in (torch.float16, torch.bfloat16) else x
    node = build().to(device="cuda", dtype=torch.float64 if dtype == torch.float64 else None)
    node.backend = backend
    node.store_v_seq = v_seq
    leaf = wide.detach().requires_grad_()
    first = None if initial is None else initial.clone().requires_grad_()
    if first is not None:
        node.v = first
    y = node(leaf)
    generator = torch.Generator(device="cuda").manual_seed(3)
    g = torch.rand(y.shape, device="cuda", generator=generator).to(dtype) - 0.5
    loss = (y * g.to(y)).sum()
    if v_seq:
        loss = loss + (node.v_seq * g.flip(0).to(y)).sum()
    inputs = [leaf, *([] if first is None else [first]), *node.parameters()]
    found = torch.autograd.grad(loss, inputs)
    state = next(iter(node._memories.values())).detach()
    state = state if dtype == torch.float64 else state.float()
    results = {"y": y.detach().to(dtype), "v": state, "x": found[0].to(dtype)}
    if v_seq:
        results["v_seq"] = node.v_seq.detach().to(dtype)
    if first is not None:
        results["first"] = found[1]
    names = [name for name, _ in node.named_parameters()]
    return results | dict(zip(names, found[len(found) - len(names) :], strict=True))


def check(ours: dict[str, Tensor], theirs: dict[str, Tensor], *, exact: bool = True) -> None:
    dtype = ours["y"].dtype
    step = {torch.float16: 1e-3, torch.bfloat16: 8e-3}.get(dtype, 0.0)
    assert theirs["y"].unique().numel() > 1
    differing = (ours["y"] != theirs["y"]).sum().item()
    assert differing == 0 if exact else differing <= 1e-5 * ours["y"].numel() + 1
    for name in theirs:
        if name in ("v", "v_seq") and exact:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0)
        elif name in ("x", "first", "v", "v_seq"):
            far = ~torch.isclose(
                ours[name].float(), theirs[name].float(), rtol=step, atol=2e-6 if exact else 2e-5
            )
            # a spike that flipped changes what follows in its neuron
            assert far.sum().item() <= differing * 2 * ours["y"].shape[0], name
        elif name != "y" and differing == 0:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT.keys())
def test_four_million_neuron_steps_without_a_flip(build: Callable[[], Any]) -> None:
    x = sequence(8, 1 << 19)
    check(run(build, "cupy", x), run(build, "torch", x))


@pytest.mark.parametrize("build", CLOSE.values(), ids=CLOSE.keys())
def test_other_neurons_are_close(build: Callable[[], Any]) -> None:
    x = sequence(6, 20, 48, 30)
    check(run(build, "cupy", x, v_seq=True), run(build, "torch", x, v_seq=True), exact=False)


@pytest.mark.parametrize("T", [1, 2, 5, 16, 31, 32, 33, 48, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["lif", "plif"])
def test_every_number_of_steps_and_dtype(T: int, dtype: torch.dtype, name: str) -> None:
    x = sequence(T, 7, 331, dtype=dtype)
    check(run(EXACT[name], "cupy", x, v_seq=True), run(EXACT[name], "torch", x, v_seq=True))


@pytest.mark.parametrize("T", [4, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_several_neurons_per_thread(T: int, dtype: torch.dtype) -> None:
    x = sequence(T, 1 << 21, dtype=dtype)
    check(run(EXACT["lif"], "cupy", x), run(EXACT["lif"], "torch", x))


def test_long_sequences_of_few_neurons() -> None:
    x = sequence(500, 8192)
    check(run(EXACT["lif"], "cupy", x), run(EXACT["lif"], "torch", x))


@pytest.mark.parametrize("T", [6, 40])
def test_initial_states_have_gradients(T: int) -> None:
    x, v = sequence(T, 3, 100), torch.rand(3, 100, device="cuda") - 0.5
    ours = run(EXACT["lif-1.7"], "cupy", x, v_seq=True, initial=v)
    check(ours, run(EXACT["lif-1.7"], "torch", x, v_seq=True, initial=v))


@pytest.mark.parametrize("T", [6, 40])
def test_a_repeated_frame_gets_the_sum_over_time(T: int) -> None:
    frame = sequence(3, 100)
    results = []
    for backend in ("cupy", "torch"):
        leaf = frame.clone().requires_grad_()
        node = EXACT["lif"]().cuda()
        node.backend = backend
        y = node(leaf.unsqueeze(0).expand(T, -1, -1))
        (gradient,) = torch.autograd.grad(y.cumsum(0).sum(), leaf)
        results.append((y.detach(), gradient))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-6, atol=2e-5)


def test_channels_last_keeps_its_layout() -> None:
    x = sequence(4, 6, 48, 9, 9).flatten(0, 1).to(memory_format=torch.channels_last)
    x = x.unflatten(0, (4, 6))
    build = lambda: adaptive((48, 1, 1), step_mode="m")  # noqa: E731
    ours = run(build, "cupy", x)
    check(ours, run(build, "torch", x), exact=False)
    assert ours["y"].flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_gradients_of_parameters_equal_those_in_float64() -> None:
    x = sequence(8, 64, 48, 100)
    for build in (EXACT["plif"], lambda: adaptive((48, 1), step_mode="m")):
        ours = run(build, "cupy", x)
        expected = run(build, "cupy", x.double())
        name = next(name for name, _ in build().named_parameters())
        torch.testing.assert_close(ours[name].double(), expected[name], rtol=1e-3, atol=0.5)


def test_sums_in_a_fixed_order_are_reproducible() -> None:
    x = sequence(5, 64, 48, 100)
    for build in (EXACT["plif"], lambda: adaptive((48, 1), step_mode="m")):
        name = next(name for name, _ in build().named_parameters())
        free = run(build, "cupy", x)[name]
        torch.use_deterministic_algorithms(True)
        try:
            first, second = (run(build, "cupy", x)[name] for _ in range(2))
        finally:
            torch.use_deterministic_algorithms(False)
        assert torch.equal(first, second)
        torch.testing.assert_close(first, free, rtol=1e-4, atol=1e-3)


def test_a_silent_decay_reaches_denormal_numbers() -> None:
    x = torch.zeros(140, 64, device="cuda")
    x[0] = 0.9
    build = made(neuron.LIFNode, 2.0)
    results = [run(build, backend, x, v_seq=True) for backend in ("cupy", "torch")]
    assert 0 < results[1]["v_seq"].abs().min() < 1e-38
    assert torch.equal(results[0]["v_seq"], results[1]["v_seq"])


def test_nan_never_fires_and_stays() -> None:
    x = sequence(4, 1000)
    x[1, ::7] = torch.nan
    node = EXACT["lif"]().cuda()
    node.backend = "cupy"
    y = node(x)
    assert not y[1:, ::7].any() and node.v[::7].isnan().all()
    assert y.isfinite().all() and not node.v[1::7].isnan().any()


def test_a_call_is_captured_in_a_graph() -> None:
    x, g = sequence(4, 5000), torch.rand(4, 5000, device="cuda")
    node = EXACT["plif"]().cuda()
    node.backend = "cupy"
    leaf = x.clone().requires_grad_()

    def step() -> tuple[Tensor, ...]:
        node.reset()
        y = node(leaf)
        return y, *torch.autograd.grad(y, [leaf, *node.parameters()], g)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    new = sequence(4, 5000)
    leaf.data.copy_(new)
    graph.replay()
    expected = step()
    torch.testing.assert_close(captured[:2], expected[:2], rtol=0, atol=0)
    torch.testing.assert_close(captured[2], expected[2], rtol=1e-5, atol=1e-5)


def test_a_call_waits_for_nothing() -> None:
    node = EXACT["plif"]().cuda()
    node.backend = "cupy"
    x = sequence(4, 5000).requires_grad_()
    node(x).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        node.reset()
        node(x).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_kernels_run_on_the_current_stream() -> None:
    node = EXACT["lif"]().cuda()
    node.backend = "cupy"
    x = sequence(8, 1 << 20)
    expected = node(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.no_grad():
        late = torch.zeros_like(x)
        torch.cuda._sleep(50_000_000)
        late.copy_(x)  # a kernel on another stream would see zeros
        node.reset()
        y = node(late)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(y, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_kernels_run_on_the_device_of_the_tensor() -> None:
    x = sequence(5, 1000)
    expected = run(EXACT["lif"], "cupy", x)["y"]
    node = EXACT["lif"]().to("cuda:1")
    node.backend = "cupy"
    y = node(x.to("cuda:1"))
    assert y.device.index == 1 and torch.equal(y.to("cuda:0"), expected)


def test_more_than_two_to_the_31_elements() -> None:
    N = (1 << 30) + 8
    if torch.cuda.mem_get_info()[0] < 6 * 2 * 3 * N:
        pytest.skip("needs about 40 GB of free GPU memory")
    x = torch.zeros(3, N, device="cuda", dtype=torch.bfloat16)
    x[:, -1000:] = sequence(3, 1000, dtype=torch.bfloat16)
    node = EXACT["lif"]().cuda()
    node.backend = "cupy"
    with torch.no_grad():
        y = node(x)
    small = EXACT["lif"]().cuda()
    assert torch.equal(y[:, -1000:].float(), small(x[:, -1000:].float()))
    assert not y[:, :-1000].any()


def golden_cases() -> list[Any]:
    manifest = DATA / "manifest.json"
    if not manifest.is_file():
        return []
    cases = json.loads(manifest.read_text(encoding="utf-8"))["cases"]
    return [case for case in cases if case["group"] in ("if", "lif", "plif")]


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case["id"])
def test_golden(case: Any) -> None:
    kwargs = dict(case["ctor"]["kwargs"])
    name, options = kwargs.pop("surrogate_function")["$sur"]
    kwargs["surrogate_function"] = getattr(surrogate, name)(**options)
    node = getattr(neuron, case["ctor"]["class"])(**kwargs).cuda()
    node.backend = "cupy"
    with np.load(DATA / case["file"]) as arrays:
        given = {k: torch.from_numpy(arrays[v]).cuda() for k, v in case["inputs"].items()}
        expected = {k: torch.from_numpy(arrays[v]) for k, v in case["outputs"].items()}
        state = {k: torch.from_numpy(arrays[v]) for k, v in case.get("state", {}).items()}
    node.load_state_dict({**node.state_dict(), **{k: v.reshape(()) for k, v in state.items()}})
    x = given["x"].requires_grad_()
    y = node(x)
    found = {"y": y}
    if "g" in given:
        loss = (y * given["g"]).sum()
        if "g_v" in given:
            loss = loss + (node.v_seq * given["g_v"]).sum()
        loss.backward()
        found["grad_x"] = x.grad
        found |= {f"grad:{k}": p.grad for k, p in node.named_parameters()}
    found |= {f"attr:{k}": getattr(node, k) for k in case.get("capture", [])}
    found = {k: v.detach().clone() for k, v in found.items()}
    if case.get("calls", 1) > 1:
        found["y_call2"] = node(given["x"].detach()).detach()
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key].cpu().reshape(value.shape), value,
            rtol=case.get("rtol", 1e-4), atol=case.get("atol", 1e-5),
        )  # fmt: skip
