"""Puts compiled kernels of the common neurons into the wheel, where they can be compiled.

    SJ_NEURONS_BUILD_KERNELS=0   never: a wheel for every platform
    SJ_NEURONS_BUILD_KERNELS=1   always: no kernels are an error
    not set                      on Linux on x86-64 with a C++ compiler; else as with 0

Such a wheel fits every Python, since the kernels know nothing of it. An editable installation
brings none: sources that change compile what they need when they need it.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "SJ_NEURONS_BUILD_KERNELS"
KERNELS = "src/sj_neurons/kernels"


def kernels_package(folder: Path) -> types.ModuleType:
    """A package made of the modules in `folder`, without what it is part of (which needs torch)."""
    package = types.ModuleType("sj_neurons_kernels")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return package


class KernelsHook(BuildHookInterface):
    """Compiles before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        choice = os.environ.get(SWITCH, "")
        if choice not in ("", "0", "1"):
            raise ValueError(f"{SWITCH} must be 0 or 1, got {choice!r}")
        if version == "editable" or choice == "0":
            return
        self._folder = tempfile.TemporaryDirectory()  # removed with this object
        try:
            libraries = self._compile(Path(self._folder.name))
        except RuntimeError as problem:
            if choice == "1":
                raise
            self.app.display_warning(f"sj-neurons: a wheel without compiled kernels: {problem}")
            return
        for library in libraries:
            build_data["force_include"][str(library)] = f"sj_neurons/kernels/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
        sizes = ", ".join(
            f"{library.name} {library.stat().st_size >> 10} KiB" for library in libraries
        )
        self.app.display_info(f"sj-neurons: compiled {sizes}")

    def _compile(self, folder: Path) -> list[Path]:
        if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 2**32:
            raise RuntimeError("they are built on Linux on x86-64 only")
        package = kernels_package(Path(self.root, KERNELS))
        builder = importlib.import_module(f"{package.__name__}.build_shipped")
        return builder.build(folder)
