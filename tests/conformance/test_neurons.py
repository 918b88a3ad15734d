"""Recorded behaviour of spiking neurons: every case of the groups that exist here.

Each runs on backend 'torch' and, where neurons run at all, once more with 'cpp' as the default.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sj_neurons import set_default_backend
from sj_neurons.kernels import cpp

DATA = Path(__file__).parent / "data" / "neurons"
GROUPS = {
    "surrogate": 36, "if": 12, "lif": 48, "plif": 48, "step_s": 3, "other": 49, "functional": 21,
    "layer": 49, "encoder": 6, "learning": 8, "rnn": 6,
}  # fmt: skip
CASES = [
    case
    for case in json.loads((DATA / "manifest.json").read_text())["cases"]
    if case["group"] in GROUPS
]


def _load(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


replay = _load("replay", DATA / "replay.py")


class Names(replay.Resolver):
    """Finds classes in the compatibility names beside this file."""

    def get(self, module, name):
        if module.startswith("torch"):
            return super().get(module, name)
        if module not in self.cache:
            path = Path(__file__).parent / "compat" / f"{module}.py"
            self.cache[module] = _load(f"compat_{module}", path)
        return getattr(self.cache[module], name)


NAMES = Names("compat")


def test_no_group_lost_a_case():
    for group, count in GROUPS.items():
        assert sum(case["group"] == group for case in CASES) == count


def _replayed(case: dict[str, Any]) -> list[str]:
    with np.load(DATA / case["file"]) as arrays:
        return replay.compare(case, replay.run_case(case, NAMES, arrays), arrays)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case):
    assert _replayed(case) == []


WITH_NEURONS = [case for case in CASES if case["group"] not in ("surrogate", "functional")]


@pytest.mark.parametrize("case", WITH_NEURONS, ids=lambda case: case["id"])
def test_golden_on_cpp(case, monkeypatch):
    kernels = 0

    def counting(*args: Any) -> None:
        nonlocal kernels
        kernels += 1
        forward(*args)

    forward = cpp.forward
    monkeypatch.setattr(cpp, "forward", counting)
    with set_default_backend("cpp"):
        assert _replayed(case) == []
    if case["group"] in ("if", "lif", "plif", "step_s"):
        assert kernels > 0
