"""Checks one installed package: ``python -I tools/check_wheel.py sj-neurons [SCRIPT ...]``.

Runs in an environment that holds nothing but the package and what it declares.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

__all__ = ["problems"]

ABSENT = {"sj-datasets": ["torch"]}  # distributions that installing the key must not bring
UNLOADED = {"sj_neurons": ["cupy", "h5py", "matplotlib", "tensorboard"]}  # by importing the key


def problems(name: str, scripts: list[str]) -> list[str]:
    """What is wrong with the installed distribution ``name``; empty if nothing is."""
    import_name = name.replace("-", "_")
    module = importlib.import_module(import_name)
    found: list[str] = []
    folder = Path(str(module.__file__)).parent
    if folder.parent != Path(sysconfig.get_path("purelib")):
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
    return found


def main() -> int:
    name, *scripts = sys.argv[1:]
    found = problems(name, scripts)
    for problem in found:
        print(f"check_wheel: {name}: {problem}", file=sys.stderr)
    if not found:
        count = len(list(metadata.distributions()))
        print(f"check_wheel: {name} {metadata.version(name)} is good ({count} distributions)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
