"""The compiler and its cache, and what happens when either fails: a working neuron."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sj_neurons.kernels import compile_cpp, cpp, select
from sj_neurons.kernels.compile_cpp import CompilerError, find_compiler, load

TRIVIAL = 'extern "C" int answer() { return 42; }\n'
TAIL = len(compile_cpp._MAGIC) + 32


def report() -> dict[str, Any]:
    """What a user sees of a neuron that no wheel brings."""
    import warnings

    import torch

    from sj_neurons import neuron, surrogate
    from sj_neurons.kernels import cpp

    def node(backend: str) -> neuron.BaseNode:
        function = surrogate.SoftSign()
        return neuron.LIFNode(
            3.0, v_reset=-0.125, surrogate_function=function, step_mode="m", backend=backend
        )

    x = 3 * torch.rand(4, 37, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fused = node("cpp")
        spikes = node("torch")(x)
        equal = all(torch.equal(n(x), spikes) for n in (fused, node("cpp"), node("auto")))
        fused.reset()
        x.requires_grad_(True)
        fused(x).sum().backward()
    return {
        "equal": equal, "kernels": len(cpp._kernels), "gradient": x.grad is not None,
        "warnings": [str(warning.message) for warning in caught],
    }  # fmt: skip


PROGRAM = (
    "from __future__ import annotations\nfrom typing import Any\nimport json\n"
    f"{inspect.getsource(report)}\nprint(json.dumps(report()))"
)


def script(path: Path, text: str) -> str:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def start(environment: dict[str, str | None]) -> subprocess.Popen[str]:
    merged = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={name: value for name, value in merged.items() if value is not None},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return json.loads(output.splitlines()[-1])


def works(report: dict[str, Any]) -> None:
    assert report == {"equal": True, "kernels": 1, "gradient": True, "warnings": []}


def works_on_torch(report: dict[str, Any], *, because: str) -> None:
    assert report["equal"] and report["gradient"] and report["kernels"] == 0
    (warning,) = report["warnings"]
    assert "'cpp' runs on 'torch'" in warning
    assert because in warning


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, in a process that seems to have just begun."""
    monkeypatch.setenv("SJ_NEURONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compile_cpp, "_failures", {})
    monkeypatch.setattr(compile_cpp, "_private_folder", lambda: tmp_path / "private")
    monkeypatch.setattr(select, "_failures", set())
    monkeypatch.setattr(cpp, "_kernels", {})
    monkeypatch.setattr(cpp, "shipped_library", lambda: None)
    return tmp_path / "cache"


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.so"))


# the cache


def test_a_library_is_compiled_once(folder, monkeypatch):
    assert load(TRIVIAL).answer() == 42
    (library,) = libraries(folder)
    assert sorted(folder.iterdir()) == [library]  # nothing temporary is left
    made = library.stat()
    assert load(TRIVIAL).answer() == 42
    assert library.stat().st_mtime_ns == made.st_mtime_ns
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_every_source_compiler_and_processor_has_a_file_of_its_own(folder, monkeypatch, tmp_path):
    load(TRIVIAL)
    load(TRIVIAL.replace("42", "43"))
    assert len(libraries(folder)) == 2
    monkeypatch.setattr(compile_cpp, "_cpu", lambda: "another")
    load(TRIVIAL)
    assert len(libraries(folder)) == 3
    monkeypatch.setenv("CXX", script(tmp_path / "other", f'exec {find_compiler()[0]} "$@"\n'))
    load(TRIVIAL)
    assert len(libraries(folder)) == 4
    monkeypatch.setenv("CXX", os.environ["CXX"] + " -DUNUSED")
    load(TRIVIAL)
    assert len(libraries(folder)) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\x7fELF no library",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:1000] + bytes([content[1000] ^ 1]) + content[1001:],
        lambda content: content[:-TAIL],
        lambda content: content[:-TAIL] + b"sj_neurons kernels\x00\x00" + content[-32:],
    ],
    ids=["empty", "foreign", "a byte short", "half", "a bit flipped", "unsigned", "older"],
)
def test_a_damaged_library_is_made_anew(folder, damage):
    load(TRIVIAL)
    (library,) = libraries(folder)
    content = library.read_bytes()
    library.unlink()  # as it is open here
    library.write_bytes(damage(content))
    assert load(TRIVIAL).answer() == 42
    assert libraries(folder) == [library]
    assert library.read_bytes()[-TAIL:-32] == compile_cpp._MAGIC


def test_a_signed_library_of_another_system_is_made_anew(folder, monkeypatch, tmp_path):
    load(TRIVIAL)
    (library,) = libraries(folder)
    monkeypatch.setenv("SJ_NEURONS_CACHE", str(tmp_path / "other"))
    other = tmp_path / "other" / library.name
    other.parent.mkdir()
    content = b"\x7fELF of another processor"
    other.write_bytes(content + compile_cpp._MAGIC + hashlib.sha256(content).digest())
    assert load(TRIVIAL).answer() == 42
    assert other.stat().st_size > 1000


def test_stale_temporary_files_are_removed(folder):
    folder.mkdir(parents=True)
    old = [folder / ".abc.1234.cpp", folder / ".abc.1234.so.part"]
    fresh = folder / ".def.5678.cpp"
    other = folder / ".keep.txt"
    for path in (*old, fresh, other):
        path.touch()
    for path in (*old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    load(TRIVIAL)
    assert not any(path.exists() for path in old)
    assert fresh.exists() and other.exists()


def test_threads_compile_at_once(folder):
    found: list[int] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        found.append(load(TRIVIAL).answer())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42] * 4
    assert len(libraries(folder)) == 1


# processes


def test_a_process_killed_while_it_compiles_leaves_nothing_in_the_way(folder, tmp_path):
    begun = tmp_path / "begun"
    compiler = script(
        tmp_path / "slow", f'touch {begun}\nsleep 60\nexec {find_compiler()[0]} "$@"\n'
    )
    process = start({"CXX": compiler})
    try:
        deadline = time.time() + 60
        while not begun.exists():
            assert time.time() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert libraries(folder) == []
    script(tmp_path / "slow", f'exec {find_compiler()[0]} "$@"\n')
    works(result(start({"CXX": compiler})))
    assert len(libraries(folder)) == 1


def test_two_processes_compile_the_same_kernel_at_once(folder, monkeypatch, tmp_path):
    count = tmp_path / "count"
    compiler = script(
        tmp_path / "slow", f'echo x >> {count}\nsleep 1\nexec {find_compiler()[0]} "$@"\n'
    )
    processes = [start({"CXX": compiler}) for _ in range(2)]
    for process in processes:
        works(result(process))
    assert 1 <= len(count.read_text().split()) <= 2
    assert len(libraries(folder)) == 1
    monkeypatch.setenv("CXX", compiler)
    works(report())
    assert len(count.read_text().split()) <= 2  # this one found it


# folders that cannot be written to


@pytest.mark.parametrize("place", ["a file", "/proc/none", "/dev/null/cache", "read only"])
def test_a_cache_that_cannot_be_written_to(folder, monkeypatch, place):
    if place == "a file":
        folder.touch()
    elif place == "read only":
        folder.mkdir(mode=0o500)
    else:
        monkeypatch.setenv("SJ_NEURONS_CACHE", place)
    works(report())
    if place != "read only":  # the superuser writes where he likes
        assert len(libraries(folder.with_name("private"))) == 1


def test_the_folder_of_a_process_goes_with_it(tmp_path):
    environment = {"SJ_NEURONS_CACHE": "/dev/null/cache", "TMPDIR": str(tmp_path)}
    works(result(start(environment)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", [None, "/proc/none"])
def test_no_home(folder, monkeypatch, home):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SJ_NEURONS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home is None:
        monkeypatch.setattr(Path, "home", homeless)
    else:
        monkeypatch.setenv("HOME", home)
    works(report())
    assert len(libraries(folder.with_name("private"))) == 1


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("SJ_NEURONS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile_cpp.cache_folder() == tmp_path / "sj_neurons" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compile_cpp.cache_folder() == tmp_path / ".cache" / "sj_neurons" / "kernels"


def test_no_room_on_the_disk(folder, monkeypatch, tmp_path):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compile_cpp.tempfile, "mkstemp", full)
    works_on_torch(report(), because="No space left on device")
    assert libraries(folder) == []


def test_a_compiler_without_room_goes_on_elsewhere(folder, monkeypatch, tmp_path):
    compiler = script(
        tmp_path / "full",
        f'case "$*" in *{folder}*) echo "ld: No space left on device" >&2; exit 1;; esac\n'
        f'exec {find_compiler()[0]} "$@"\n',
    )
    monkeypatch.setenv("CXX", compiler)
    assert load(TRIVIAL).answer() == 42
    assert list(folder.iterdir()) == []


# compilers that fail


def test_no_compiler(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    works_on_torch(report(), because="no C++ compiler: install g++")
    assert not folder.exists()


def test_a_compiler_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("CXX", "/none/g++ -O2")
    works_on_torch(report(), because="CXX names '/none/g++'")


BROKEN = {
    "fails": ("echo 'x.cpp:1:2: error: no such luck' >&2\nexit 1\n", "error: no such luck"),
    "is silent": ("exit 3\n", "exit status 3"),
    "does nothing": ("exit 0\n", "no folder"),
    "writes garbage": (
        'while [ "$1" != -o ]; do shift; done; echo garbage > "$2"\n', "cannot be loaded",
    ),
    "dies": ("kill -SEGV $$\n", "exit status -11"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_compiler(folder, monkeypatch, tmp_path, kind):
    text, reason = BROKEN[kind]
    monkeypatch.setenv("CXX", script(tmp_path / "c++", text))
    works_on_torch(report(), because=reason)
    assert [path for path in folder.iterdir() if path.suffix != ".so"] == []


def test_a_failure_is_not_tried_again(folder, monkeypatch, tmp_path):
    count = tmp_path / "count"
    monkeypatch.setenv("CXX", script(tmp_path / "c++", f"echo x >> {count}\nexit 1\n"))
    for _ in range(3):
        with pytest.raises(CompilerError, match="exit status 1"):
            load(TRIVIAL)
    assert count.read_text().split() == ["x"]


def test_a_compiler_that_hangs_is_killed_with_its_children(folder, monkeypatch, tmp_path):
    pids = tmp_path / "pids"
    monkeypatch.setenv("CXX", script(tmp_path / "c++", f"sleep 1000 &\necho $! > {pids}\nwait\n"))
    monkeypatch.setattr(compile_cpp, "_TIMEOUT", 1.0)
    begun = time.monotonic()
    with pytest.raises(CompilerError, match=r"no result after 1\.0 s"):
        load(TRIVIAL)
    assert time.monotonic() - begun < 30
    child = int(pids.read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in _state(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_without_openmp_one_thread_runs(folder, monkeypatch, tmp_path):
    compiler = script(
        tmp_path / "c++",
        'case "$*" in *-fopenmp*) echo "error: unsupported option \'-fopenmp\'" >&2; exit 1;; '
        f'esac\nexec {find_compiler()[0]} "$@"\n',
    )
    monkeypatch.setenv("CXX", compiler)
    assert load(TRIVIAL).answer() == 42


def test_the_compiler_is_found_by_its_usual_names(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerError, match="no C\\+\\+ compiler"):
        find_compiler()
    path = script(tmp_path / "clang++", "")
    assert find_compiler() == (path,)
    monkeypatch.setenv("CXX", "  ")
    assert find_compiler() == (path,)
    monkeypatch.setenv("CXX", "clang++ -O1")
    assert find_compiler() == (path, "-O1")
    assert shutil.which("clang++") == path
