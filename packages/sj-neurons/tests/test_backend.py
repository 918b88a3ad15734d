"""The choice of a backend: what may be asked for, what is refused, and what 'auto' does."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sj_neurons
from sj_neurons import backends, functional, neuron, set_default_backend, surrogate
from sj_neurons.backend import default_backend
from sj_neurons.base import MemoryModule
from sj_neurons.kernels import cpp, select
from sj_neurons.neuron.base import BaseNode

T, N = 4, 6


def values(*shape: int) -> Tensor:
    return 3.0 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1.0


@pytest.fixture(autouse=True)
def the_default_is_as_before():
    before = default_backend()
    yield
    set_default_backend(before)


def untraceable() -> BaseNode:
    class Shouting(neuron.IFNode):
        def charge(self, x: Tensor, v: Tensor) -> Tensor:
            return v + x.sort().values

    return Shouting(step_mode="m")


# the default


def test_torch_unless_said_otherwise():
    assert default_backend() == "torch"
    assert neuron.LIFNode().backend == "torch"
    assert neuron.LIFNode(backend=None).backend == "torch"
    assert "backend=torch" in repr(neuron.LIFNode())


def test_the_default_holds_for_neurons_made_later():
    before = neuron.LIFNode()
    set_default_backend("cpp")
    assert neuron.LIFNode().backend == "cpp"
    assert neuron.LIFNode(backend="torch").backend == "torch"
    assert before.backend == "torch"
    # those without a choice keep theirs
    assert neuron.PSN(T=3).backend == "torch"
    assert neuron.SlidingPSN(k=2).backend == "gemm"
    set_default_backend("torch")
    assert neuron.LIFNode().backend == "torch"


def test_as_a_context_the_default_is_restored():
    with set_default_backend("auto"):
        assert neuron.IFNode().backend == "auto"
        with set_default_backend("cpp"):
            assert neuron.IFNode().backend == "cpp"
        assert neuron.IFNode().backend == "auto"
        with pytest.raises(KeyError), set_default_backend("torch"):
            raise KeyError
        assert default_backend() == "auto"
    assert default_backend() == "torch"


@pytest.mark.parametrize("name", ["cuda", "", "CPP", None])
def test_an_unknown_name_is_refused_and_changes_nothing(name):
    with pytest.raises(ValueError, match=r"unknown backend .*'torch', 'cpp', 'cupy', 'auto'"):
        set_default_backend(name)
    with pytest.raises(ValueError, match="unknown backend"):
        functional.set_backend(nn.Sequential(neuron.IFNode()), name)
    assert default_backend() == "torch"


def test_neurons_of_a_custom_step_follow_the_default():
    def step(x, v):
        return x - v, v + x

    Plain = neuron.from_step(step, states={"v": 0.0}, name="Plain")
    with set_default_backend("auto"):
        assert Plain().backend == "auto"
        # a step that cannot be fused runs on torch without a word
        node = untraceable()
        assert node.backend == "auto"
        assert node(values(T, N)).shape == (T, N)


# assignment


@pytest.mark.parametrize("name", ["torch", "cpp", "auto"])
def test_a_neuron_takes_what_it_is_given(name):
    node = neuron.LIFNode(backend=name)
    assert node.backend == name
    node.backend = "torch"
    node.backend = name
    assert node.backend == name
    assert set(node.supported_backends) == {"torch", "cpp", "cupy"}


def test_an_unknown_backend_is_refused_by_class_and_choice():
    for make in (
        lambda: neuron.LIFNode(backend="cuda"),
        lambda: setattr(neuron.LIFNode(), "backend", "cuda"),
    ):
        with pytest.raises(NotImplementedError, match=r"cuda .* LIFNode! .*'torch', 'cpp'"):
            make()


def others() -> list[type[MemoryModule]]:
    found = [getattr(neuron, name) for name in neuron.__all__]
    classes = [cls for cls in found if inspect.isclass(cls) and issubclass(cls, MemoryModule)]
    return [cls for cls in classes if "cpp" not in cls.supported_backends.fget(None)]


@pytest.mark.parametrize("cls", others(), ids=lambda cls: cls.__name__)
def test_what_is_no_scalar_recurrence_says_why(cls):
    # without the constructor, whose arguments differ
    node = cls.__new__(cls)
    for backend in ("cpp", "cupy"):
        with pytest.raises(NotImplementedError) as error:
            MemoryModule.checked_backend(node, backend)
        text = str(error.value)
        assert text.startswith(f"{backend} is not a supported backend of {cls.__name__}")
        assert "No scalar recurrence: " in text or "Base" in cls.__name__, text


def test_a_step_that_cannot_be_fused_is_refused_with_the_reason():
    node = untraceable()
    with pytest.raises(NotImplementedError, match=r"Shouting .*sort"):
        node.backend = "cpp"
    assert node.backend == "torch"


def test_random_spikes_are_refused_and_left_to_torch_by_auto():
    def make(backend: str) -> BaseNode:
        return neuron.LIFNode(
            surrogate_function=surrogate.PoissonPass(), step_mode="m", backend=backend
        )

    with pytest.raises(NotImplementedError, match=r"LIFNode.*PoissonPass"):
        make("cpp")(values(T, N))
    node = make("torch")
    with pytest.raises(NotImplementedError, match="PoissonPass"):
        node.backend = "cpp"
    assert make("auto")(values(T, N)).shape == (T, N)


@pytest.mark.parametrize("dtype", [torch.float16, torch.complex64], ids=str)
def test_a_type_that_no_kernel_takes_is_refused_by_name(dtype):
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    with pytest.raises(NotImplementedError, match=f"LIFNode: backend 'cpp' does not run {dtype}"):
        node(values(T, N).to(dtype))


def test_a_device_that_is_not_the_backends_is_refused(monkeypatch):
    node = neuron.LIFNode()
    with pytest.raises(NotImplementedError, match=r"LIFNode: backend 'cpp' runs on CPU .*'cuda'"):
        select._check(node, "cpp", "cuda", torch.float32)
    with pytest.raises(NotImplementedError, match=r"backend 'cupy' runs on CUDA .*'cpu'"):
        select._check(node, "cupy", "cpu", torch.float32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cupy_without_a_device_says_what_to_install():
    for make in (
        lambda: setattr(neuron.LIFNode(), "backend", "cupy"),
        lambda: set_default_backend("cupy"),
        lambda: functional.set_backend(neuron.LIFNode(), "cupy"),
    ):
        with pytest.raises(ImportError, match=r"(sj-neurons\[cuda1[23]\]|CUDA device)"):
            make()
    assert default_backend() == "torch"


# 'auto'


def runs_on_cpp(node: BaseNode, x: Tensor) -> bool:
    node(x)
    call = select.call_of(node, x.device.type, x.dtype)
    return call is not None and call.backend == "cpp"


def test_auto_fuses_what_it_can_on_the_cpu():
    x = values(T, N)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert runs_on_cpp(neuron.LIFNode(step_mode="m", backend="auto"), x.to(dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        node = neuron.LIFNode(step_mode="m", backend="auto")
        assert node(x.half()).dtype == torch.float16
        assert not runs_on_cpp(node, x.half())
        other = untraceable()
        other.backend = "auto"
        wanted = untraceable()(x)
        assert torch.equal(other(x), wanted)


def test_auto_may_follow_the_type_of_the_input():
    node, reference = neuron.LIFNode(step_mode="m", backend="auto"), neuron.LIFNode(step_mode="m")
    for dtype in (torch.float32, torch.float16, torch.float64, torch.float32):
        x = values(T, N).to(dtype)
        y = node(x)
        assert y.dtype == dtype
        torch.testing.assert_close(y, reference(x))


# nets


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(N, N), neuron.LIFNode(), neuron.PSN(T=T), neuron.IFNode(), untraceable()
    )


def backends_of(module: nn.Module) -> list[str]:
    return [m.backend for m in module.modules() if isinstance(m, MemoryModule)]


def test_set_backend_warns_once_about_what_it_keeps():
    module = net()
    with pytest.warns(UserWarning) as caught:
        functional.set_backend(module, "cpp")
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "PSN" in text and "No scalar recurrence" in text
    assert "Shouting" in text and "sort" in text
    assert "LIFNode" not in text
    assert caught[0].filename == __file__
    assert backends_of(module) == ["cpp", "torch", "cpp", "torch"]


def test_set_backend_strictly():
    with pytest.raises(NotImplementedError, match=r"(?s)PSN.*No scalar recurrence"):
        functional.set_backend(net(), "cpp", strict=True)
    plain = nn.Sequential(neuron.LIFNode(), nn.Sequential(neuron.IFNode()))
    functional.set_backend(plain, "cpp", strict=True)
    assert backends_of(plain) == ["cpp", "cpp"]


def test_set_backend_of_some_classes():
    module = net()
    functional.set_backend(module, "cpp", instance=neuron.LIFNode)
    assert backends_of(module) == ["cpp", "torch", "torch", "torch"]
    functional.set_backend(module, "torch", instance=(neuron.LIFNode, neuron.IFNode))
    assert backends_of(module) == ["torch"] * 4


def test_set_backend_auto_is_silent():
    module = net()
    functional.set_backend(module, "auto")
    assert backends_of(module) == ["auto", "torch", "auto", "auto"]


def test_step_mode_and_backend_in_either_order():
    x = values(T, 2, N)
    wanted = None
    for order in ("mode first", "backend first"):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(N, N), neuron.LIFNode(), neuron.IFNode())
        if order == "mode first":
            functional.set_step_mode(module, "m")
            functional.set_backend(module, "cpp")
        else:
            functional.set_backend(module, "cpp")
            functional.set_step_mode(module, "m")
        y = module(x)
        wanted = y if wanted is None else wanted
        assert torch.equal(y, wanted)
    functional.reset_net(module)
    functional.set_step_mode(module, "s")
    assert torch.equal(torch.stack([module(step) for step in x]), wanted)


# what is there


def test_backends_says_what_is_there_and_why_not(capsys, monkeypatch, tmp_path):
    found = backends()
    printed = capsys.readouterr().out
    assert list(found) == ["torch", "cpp", "cupy"]
    assert found["torch"] == found["cpp"] == "available"
    for name, state in found.items():
        assert any(line.split(None, 1) == [name, state] for line in printed.splitlines())
    if not torch.cuda.is_available():
        assert found["cupy"] != "available"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in backends()["cpp"]


def test_importing_the_package_loads_no_library_and_no_compiler():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import sj_neurons"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "sj_neurons.neuron.lif" in loaded
    assert not {name for name in loaded if name.startswith(("cupy", "sj_neurons.kernels"))}


def test_the_names_are_public():
    assert {"backends", "set_default_backend"} <= set(sj_neurons.__all__)


def test_threads_may_trace_the_same_neuron_at_once():
    node = neuron.LIFNode(tau=7.0, step_mode="m", backend="cpp")
    results: list[Any] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        results.append(select.call_of(node, "cpu", torch.float32))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({call.program for call in results}) == 1
    assert (results[0].program, "float32") in cpp._kernels
