"""The library of the platform wheel: what is in it, how it is built, when it is used."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from sj_neurons import neuron, surrogate
from sj_neurons.kernels import build_shipped, compile_cpp, cpp, shipped
from sj_neurons.kernels.plan import plan
from sj_neurons.kernels.trace import trace

PACKAGE = Path(__file__).resolve().parent.parent
TOOL = PACKAGE.parent.parent / "tools" / "shipped_programs.py"
V4, V3 = shipped.LEVELS["x86-64-v4"], shipped.LEVELS["x86-64-v3"]

# A few neurons whose kernels the tests compile; the whole library takes half a minute.
NEURONS = {
    "lif": lambda: neuron.LIFNode(
        3.0, v_reset=0.0, surrogate_function=surrogate.ATan(), detach_reset=True
    ),
    "plif": lambda: neuron.ParametricLIFNode(
        3.0, v_reset=None, surrogate_function=surrogate.Sigmoid(), decay_input=False
    ),
}

# Runs the hook as a build does: no torch, nothing of this package but the folder it builds.
HOOK = """
import importlib.util, json, sys, types
sys.modules["torch"] = sys.modules["sj_neurons"] = None
for name in ("builders", "builders.hooks", "builders.hooks.plugin"):
    sys.modules["hatchling." + name] = types.ModuleType(name)
sys.modules["hatchling"] = types.ModuleType("hatchling")
interface = types.ModuleType("interface")
interface.BuildHookInterface = object
sys.modules["hatchling.builders.hooks.plugin.interface"] = interface
hook_file, root, target, version = sys.argv[1:]
spec = importlib.util.spec_from_file_location("hatch_build", hook_file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
hook, told = module.KernelsHook(), []
hook.root = root
hook.app = types.SimpleNamespace(display_info=told.append, display_warning=told.append)
data = {"force_include": {}, "pure_python": True}
hook.initialize(version, data)
import pathlib, shutil
for path, place in data["force_include"].items():
    shutil.copy(path, pathlib.Path(target, pathlib.Path(place).name))
print(json.dumps({"data": data, "told": told}))
"""


def build_environment(**changes: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "SJ_NEURONS_BUILD_KERNELS"} | changes


def run_hook(
    root: Path, target: Path, version: str = "standard", **environment: str
) -> subprocess.CompletedProcess[str]:
    hook = PACKAGE / "hatch_build.py"
    if not hook.is_file():
        pytest.skip("the build hook is not part of this installation")
    return subprocess.run(
        [sys.executable, "-I", "-c", HOOK, str(hook), str(root), str(target), version],
        capture_output=True, text=True, env=build_environment(**environment),
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree whose library holds the kernels of `NEURONS` only."""
    folder = tmp_path_factory.mktemp("root")
    kernels = folder / "src" / "sj_neurons" / "kernels"
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(Path(shipped.__file__).parent, kernels, ignore=ignored)
    programs = {name: trace(make()).program.text for name, make in NEURONS.items()}
    (kernels / "shipped_programs.json").write_text(json.dumps({"float32": programs}))
    return folder


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hook compiles from `root`."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("libraries are built on Linux on x86-64 only")
    try:
        compile_cpp.find_compiler()
    except compile_cpp.CompilerError as error:
        pytest.skip(str(error))
    target = tmp_path_factory.mktemp("built")
    done = run_hook(root, target, SJ_NEURONS_BUILD_KERNELS="1")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["data"]["tag"] == "py3-none-linux_x86_64"
    assert answer["data"]["pure_python"] is False
    return target


def used(folder: Path, flags: frozenset[str]) -> str | None:
    """Name of the file that is used from `folder`."""
    library = shipped.library_in(folder, flags)
    return None if library is None else Path(str(library._name)).name


def test_every_combination_promised_is_shipped() -> None:
    programs = set(build_shipped.shipped_programs())
    expected = set()
    for make, make_surrogate, v_reset, detach in itertools.product(
        (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode),
        (surrogate.ATan, surrogate.Sigmoid),
        (0.0, -0.7, 0.2, None),
        (False, True),
    ):
        for decay in ({},) if make is neuron.IFNode else ({"decay_input": False}, {}):
            node = make(
                v_reset=v_reset, detach_reset=detach, surrogate_function=make_surrogate(), **decay
            )
            expected.add((trace(node).program.text, "float32"))
    assert programs == expected
    assert len(programs) == 2 * 3 * 2 * 5


def test_other_numbers_need_no_other_program() -> None:
    programs = dict(build_shipped.shipped_programs())
    for node in (
        neuron.LIFNode(7.5, v_threshold=0.3, surrogate_function=surrogate.ATan(3.0)),
        neuron.ParametricLIFNode(5.0, surrogate_function=surrogate.Sigmoid(1.5), v_reset=2.0),
    ):
        assert trace(node).program.text in programs


def test_the_programs_are_up_to_date() -> None:
    if not TOOL.is_file():
        pytest.skip("the repository's tools are not here")
    done = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_kernel_is_in_the_library(built: Path) -> None:
    for level, flags in shipped.LEVELS.items():
        library = shipped.library_in(built, flags)
        assert library is not None, level
        for make in NEURONS.values():
            text = trace(make()).program.text
            name = shipped.kernel_name(text, "float32")
            assert hasattr(library, f"{name}_forward")
            assert hasattr(library, f"{name}_backward") == plan(text).has_gradient


@pytest.mark.parametrize("level", shipped.LEVELS)
@pytest.mark.parametrize("name", NEURONS)
def test_a_neuron_runs_on_it_without_a_compiler(
    name: str, level: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shipped.LEVELS[level] <= compile_cpp.cpu_flags():
        pytest.skip(f"this processor is below {level}")
    library = shipped.library_in(built, shipped.LEVELS[level])
    monkeypatch.setattr(cpp, "shipped_library", lambda: library)
    monkeypatch.setattr(cpp, "_kernels", {})
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("SJ_NEURONS_CACHE", str(tmp_path / "cache"))
    x = torch.rand(6, 3, 70, generator=torch.Generator().manual_seed(0)) * 4 - 1
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    results = []
    for backend in ("torch", "cpp"):
        node = NEURONS[name]()
        node.step_mode, node.backend, node.store_v_seq = "m", backend, True
        leaf = x.clone().requires_grad_()
        spikes = node(leaf)
        gradients = torch.autograd.grad((spikes * weight).sum(), (leaf, *node.parameters()))
        results.append((spikes, node.v_seq, gradients))
    (spikes, v_seq, gradients), (our_spikes, our_v_seq, our_gradients) = results
    assert 0 < spikes.mean() < 1
    assert torch.equal(our_spikes, spikes)
    assert torch.equal(our_v_seq, v_seq)
    for ours, theirs in zip(our_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)
    assert not (tmp_path / "cache").exists()


def test_the_processor_decides_the_level(built: Path) -> None:
    assert used(built, V4 | {"mmx"}) == "shipped_x86_64_v4.so"
    assert used(built, V4 - {"avx512vl"}) == "shipped_x86_64_v3.so"
    assert used(built, V3) == "shipped_x86_64_v3.so"
    assert used(built, V3 - {"abm"}) is None
    assert used(built, frozenset()) is None


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "changed", "text"])
def test_a_damaged_library_is_passed_over(damage: str, built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    best = tmp_path / "shipped_x86_64_v4.so"
    content = best.read_bytes()
    if damage == "missing":
        best.unlink()
    else:
        flipped = bytes((content[5000] ^ 1,))
        best.write_bytes({
            "empty": b"",
            "cut": content[: len(content) // 2],
            "changed": content[:5000] + flipped + content[5001:],
            "text": b"no library\n",
        }[damage])  # fmt: skip
    assert used(tmp_path, V4) == "shipped_x86_64_v3.so"
    (tmp_path / "shipped_x86_64_v3.so").write_bytes(b"")
    assert used(tmp_path, V4) is None


def test_a_library_that_cannot_be_loaded_here_is_not_used(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> Any:
        raise OSError("libc.so.6: cannot open shared object file")  # as another C library says

    monkeypatch.setattr(compile_cpp.ctypes, "CDLL", refuse)
    assert used(built, V4) is None


@pytest.mark.parametrize("change", ["edited", "absent", None])
def test_a_library_of_other_sources_is_not_used(
    change: str | None, root: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "kernels"
    shutil.copytree(root / "src" / "sj_neurons" / "kernels", kernels)
    if change == "edited":
        with (kernels / "prelude.h").open("a") as file:
            file.write("// another one\n")
    elif change == "absent":
        (kernels / "prelude.h").unlink()
    package = types.ModuleType(f"kernels_{change}")
    package.__path__ = [str(kernels)]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    other = importlib.import_module(f"{package.__name__}.shipped")
    assert (other.library_in(built, V3) is None) == (change is not None)


def test_the_version_covers_all_that_makes_kernels(root: Path) -> None:
    """What is imported to make the source is hashed, but for what names, compiles and loads it."""
    code = (
        "import sys, types\n"
        "package = types.ModuleType('k')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "sys.modules.update(k=package, torch=None)\n"
        "import k.build_shipped\n"
        "k.build_shipped.source()\n"
        "print(*(name[2:] for name in sys.modules if name.startswith('k.')))\n"
    )
    kernels = root / "src" / "sj_neurons" / "kernels"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(kernels)], capture_output=True, text=True, check=True
    )
    imported = {f"{name}.py" for name in done.stdout.split()}
    assert imported - {"build_shipped.py", "shipped.py", "compile_cpp.py"} == set(shipped._STAGES)


def test_equal_sources_make_equal_bytes(root: Path, built: Path, tmp_path: Path) -> None:
    done = run_hook(root, tmp_path, SJ_NEURONS_BUILD_KERNELS="1")
    assert done.returncode == 0, done.stderr
    for level in shipped.LEVELS:
        name = shipped.library_name(level)
        content = (tmp_path / name).read_bytes()
        assert content == (built / name).read_bytes()
        assert str(tmp_path).encode() not in content
        assert str(root).encode() not in content


@pytest.mark.parametrize(
    ("version", "switch"), [("standard", "0"), ("editable", ""), ("editable", "1")]
)
def test_no_kernels_where_none_are_wanted(
    version: str, switch: str, root: Path, tmp_path: Path
) -> None:
    done = run_hook(root, tmp_path, version, SJ_NEURONS_BUILD_KERNELS=switch)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["data"] == {"force_include": {}, "pure_python": True}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compiler", ["/nowhere/g++", "false"])
def test_without_a_working_compiler_the_wheel_is_pure_and_says_so(
    compiler: str, root: Path, tmp_path: Path
) -> None:
    done = run_hook(root, tmp_path, CXX=compiler)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["data"] == {"force_include": {}, "pure_python": True}
    assert len(answer["told"]) == 1
    assert "without compiled kernels" in answer["told"][0]
    done = run_hook(root, tmp_path, CXX=compiler, SJ_NEURONS_BUILD_KERNELS="1")
    assert done.returncode != 0


def test_a_switch_that_is_no_switch_is_refused(root: Path, tmp_path: Path) -> None:
    done = run_hook(root, tmp_path, SJ_NEURONS_BUILD_KERNELS="yes")
    assert done.returncode != 0
    assert "SJ_NEURONS_BUILD_KERNELS must be 0 or 1, got 'yes'" in done.stderr


def test_what_needs_another_runtime_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_library(source: str, path: Path, *rest: Any) -> None:
        path.write_bytes(b"\x7fELF libomp.so.5\0")

    monkeypatch.setattr(build_shipped, "compile_library", compile_library)
    with pytest.raises(compile_cpp.CompilerError, match=r"clang\+\+ links libomp.*with g\+\+"):
        build_shipped.build(tmp_path, ["clang++"])
    assert list(tmp_path.iterdir()) == []
