"""Checks one installed package: ``python -I tools/check_wheel.py sj-neurons [SCRIPT ...]``.

Runs in an environment that holds nothing but the package and what it declares.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

__all__ = ["problems"]

ABSENT = {"sj-datasets": ["torch"]}  # distributions that installing the key must not bring
UNLOADED = {"sj_neurons": ["cupy", "h5py", "matplotlib", "tensorboard"]}  # by importing the key

# What a platform wheel promises, run where there is no compiler: exits with what does not hold.
COMPILED = {
    "sj-neurons": """
import sys, warnings
warnings.simplefilter("error")
import torch
from sj_neurons import neuron, surrogate
from sj_neurons.kernels import build_shipped, compile_cpp, shipped

if not shipped.LEVELS["x86-64-v3"] <= compile_cpp.cpu_flags():
    sys.exit()
library = shipped.shipped_library()
if library is None:
    sys.exit("the library in the wheel is not used")
for program in build_shipped.shipped_programs():
    for direction in ("forward", "backward"):
        if not hasattr(library, f"{shipped.kernel_name(*program)}_{direction}"):
            sys.exit(f"the library in the wheel lacks a {direction} kernel of {program}")
x = torch.rand(5, 2, 70) * 4 - 1
for make in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode):
    outputs = []
    for backend in ("torch", "cpp"):
        leaf = x.clone().requires_grad_()
        spikes = make(surrogate_function=surrogate.ATan(), step_mode="m", backend=backend)(leaf)
        spikes.sum().backward()
        outputs.append((spikes, leaf.grad))
    (theirs, their_gradient), (ours, our_gradient) = outputs
    if not torch.equal(ours, theirs) or not torch.allclose(our_gradient, their_gradient):
        sys.exit(f"{make.__name__} differs on backends 'cpp' and 'torch'")
"""
}


def problems(name: str, scripts: list[str]) -> list[str]:
    """What is wrong with the installed distribution ``name``; empty if nothing is."""
    import_name = name.replace("-", "_")
    module = importlib.import_module(import_name)
    found: list[str] = []
    folder = Path(str(module.__file__)).parent
    if folder.parent not in (Path(sysconfig.get_path(p)) for p in ("purelib", "platlib")):
        found.append(f"{import_name} came from {folder}, not from the installed wheel")
    if not (folder / "py.typed").is_file():
        found.append("the wheel holds no py.typed")
    if module.__version__ != metadata.version(name):
        found.append(f"__version__ {module.__version__} != metadata {metadata.version(name)}")
    found += [f"metadata names a path: {r}" for r in metadata.requires(name) or [] if " @ " in r]
    installed = {str(d.metadata["Name"]).lower() for d in metadata.distributions()}
    found += [f"brings {other}" for other in ABSENT.get(name, []) if other in installed]
    found += [
        f"importing it loads {other}"
        for other in UNLOADED.get(import_name, [])
        if other in sys.modules
    ]
    for script in scripts:
        command = [str(Path(sys.executable).parent / script), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode or not done.stdout.strip():
            found.append(f"{script} --help: status {done.returncode}: {done.stderr.strip()}")
    if is_platform_wheel(name):
        found += compiled_problems(name)
    return found


def is_platform_wheel(name: str) -> bool:
    """Whether the wheel that ``name`` was installed from holds compiled code."""
    lines = (metadata.distribution(name).read_text("WHEEL") or "").splitlines()
    return "Root-Is-Purelib: false" in lines


def compiled_problems(name: str) -> list[str]:
    """What is wrong with the compiled part, found without a compiler and with an empty cache."""
    if name not in COMPILED:
        return ["is for one platform only, though nothing in it is compiled"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "CXX"}
        environment |= {"PATH": "", "SJ_NEURONS_CACHE": cache}
        command = [sys.executable, "-I", "-c", COMPILED[name]]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        found = [done.stderr.strip().splitlines()[-1]] if done.returncode else []
        return found + ["compiles what it brings"] * any(Path(cache).iterdir())


def main() -> int:
    name, *scripts = sys.argv[1:]
    found = problems(name, scripts)
    for problem in found:
        print(f"check_wheel: {name}: {problem}", file=sys.stderr)
    if not found:
        count = len(list(metadata.distributions()))
        kind = "platform wheel, " if is_platform_wheel(name) else ""
        print(f"check_wheel: {name} {metadata.version(name)} is good ({kind}{count} distributions)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
