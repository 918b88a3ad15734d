"""Recorded values of config-built components."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@dataclass
class Golden:
    """One recorded case: its row in the manifest, and its arrays as tensors."""

    row: dict[str, Any]
    given: dict[str, torch.Tensor]
    expected: dict[str, torch.Tensor]
    state: dict[str, torch.Tensor]

    def check(self, name: str, actual: torch.Tensor) -> None:
        """Compare with the expected array of this name, at the case's tolerance."""
        expected = self.expected[name]
        torch.testing.assert_close(
            actual.detach().reshape(expected.shape),
            expected,
            rtol=self.row["rtol"],
            atol=self.row["atol"],
            check_dtype=False,
            msg=lambda text: f"{self.row['case']}, {name}: {text}",
        )


@pytest.fixture
def component_golden(goldens: Path, request: pytest.FixtureRequest) -> Callable[[str, str], Golden]:
    """Reads a case of a file of components; files that are not kept here come from `shared`."""

    def read(file: str, case: str) -> Golden:
        folder = goldens / "components"
        manifest = json.loads((folder / "manifest.json").read_text())["files"][file]
        row = next(row for row in manifest["cases"] if row["case"] == case)
        if not (folder / file).exists():
            folder = request.getfixturevalue("shared") / "conformance" / "components"
        parts: dict[str, dict[str, torch.Tensor]] = {"in": {}, "out": {}, "state": {}}
        with np.load(folder / file) as arrays:
            for key in arrays:
                owner, part, name = key.split("/", 2)
                if owner == case:
                    parts[part][name] = torch.from_numpy(arrays[key])
        return Golden(row, parts["in"], parts["out"], parts["state"])

    return read
