"""Recorded values of config-built components and of whole models."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sj_neurons import functional, neuron


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


@dataclass
class RecordedModel:
    """A model with the recorded weights, the recorded input, and what came out of it."""

    net: nn.Module
    x: torch.Tensor
    golden: dict[str, Any]
    arrays: dict[str, torch.Tensor]

    def check(self, backend: str) -> None:
        """Spikes of all neurons, in their order, and the output."""
        spikes: dict[str, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(
                lambda module, args, output, path=path: spikes.__setitem__(path, output)
            )
            for path, module in self.net.named_modules()
            if isinstance(module, neuron.BaseNode)
        ]
        functional.reset_net(self.net)
        functional.set_backend(self.net, backend)
        with torch.no_grad():
            y = self.net(self.x)
        for hook in hooks:
            hook.remove()
        assert list(spikes) == [layer["layer"] for layer in self.golden["layers"]]
        for layer in self.golden["layers"]:
            fired = spikes[layer["layer"]]
            assert list(fired.shape) == layer["shape"], layer["layer"]
            packed = np.packbits(fired.numpy().astype(np.uint8).ravel())
            assert zlib.crc32(packed.tobytes()) == layer["crc32"], layer["layer"]
        torch.testing.assert_close(y, self.arrays["output"], rtol=0, atol=1e-4)


@pytest.fixture
def recorded_model(goldens: Path) -> Callable[[str, nn.Module], RecordedModel]:
    """Gives a model the recorded weights, after a look at its keys, shapes and parameters."""

    def fill(name: str, net: nn.Module) -> RecordedModel:
        golden = json.loads((goldens / "models" / f"{name}.json").read_text())
        functional.set_step_mode(net.eval(), "m")
        state = net.state_dict()
        assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
        assert list(state) == list(golden["state_dict"])
        assert sum(parameter.numel() for parameter in net.parameters()) == golden["params"]
        _fill(net, golden["gain"])
        for key, checksum in golden["weights_crc32"].items():
            assert _crc32(net.state_dict()[key]) == checksum
        generator = torch.Generator().manual_seed(golden["input_seed"])
        x = torch.randint(0, 256, golden["input_shape"], generator=generator).float() / 256
        assert _crc32(x) == golden["input_crc32"]
        with np.load(goldens / "models" / f"{name}.npz") as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        return RecordedModel(net, x, golden, arrays)

    return fill


def _crc32(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().tobytes())


def _fill(net: nn.Module, gain: float) -> None:
    """Integer weights times a power of two, so that every sum is exact in float32."""
    state = net.state_dict()
    for key, value in state.items():
        owner, _, name = key.rpartition(".")
        normalised = f"{owner}.running_mean" in state
        if value.dim() == 0:
            continue
        if name in ("running_mean", "running_var"):
            value.fill_(float(name == "running_var"))
        elif normalised:
            value.fill_(float(name == "weight"))
        else:
            generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
            digits = torch.randint(-127, 128, value.shape, generator=generator).float()
            fan_in = math.prod(value.shape[1:])
            exponent = round(math.log2(gain / (73.61 * math.sqrt(fan_in))))
            value.copy_(digits * 2.0 ** (-10 if name == "bias" else exponent))
