"""Recorded values of the published networks spk2imgnet and ssir, with made-up weights."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import sz_models as sz

NETS = ["spk2imgnet", "ssir"]


class Kit:
    """Recorded case ``a`` of a network; what is small is kept here."""

    def __init__(self, net: str, request: pytest.FixtureRequest) -> None:
        self.net = net
        self.request = request
        self.case = json.loads(self.path("a.json").read_text())
        self.keys = json.loads(self.path("keys.json").read_text())

    def path(self, name: str) -> Path:
        kept = self.request.getfixturevalue("goldens") / "sz" / f"{self.net}.{name}"
        if kept.is_file():
            return kept
        shared: Path = self.request.getfixturevalue("shared")
        return shared / "conformance" / "sz-archs" / kept.name

    def arrays(self) -> dict[str, Tensor]:
        with np.load(self.path("a.npz")) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file}
        shape = tuple(arrays.pop("spike_shape").tolist())
        bits = np.unpackbits(arrays.pop("spike_packed").numpy())[: math.prod(shape)]
        return {**arrays, "spike": torch.from_numpy(bits.reshape(shape)).float()}

    def weights(self) -> dict[str, Tensor]:
        """Weights drawn from the names of the parameters."""
        state = {}
        for name, spec in self.keys["keys"].items():
            seed = zlib.crc32(f"{self.keys['salt']}:{name}".encode())
            z = np.asarray(np.random.default_rng(seed).standard_normal(spec["shape"]))
            match spec["rule"]:
                case "fan":
                    value = z * spec["gain"] / np.sqrt(spec["fan_in"])
                case "aff":
                    value = spec["mean"] + spec["std"] * z
                case "pos":
                    value = spec["mean"] + spec["std"] * np.abs(z)
                case _:
                    value = np.zeros_like(z)
            if "abs_sum" in spec:
                assert np.abs(value).sum() == pytest.approx(spec["abs_sum"], rel=1e-6)
            state[name] = torch.from_numpy(np.asarray(value, dtype=spec["dtype"]))
        return state

    def model(self, tmp_path: Path) -> sz.BaseModel:
        """The wrapper, its weights loaded from a file."""
        torch.save(self.weights(), tmp_path / "net.pth")
        cfg = sz.registry.default_config(self.net)
        cfg.ckpt_path = str(tmp_path / "net.pth")
        return sz.build_model_cfg(cfg).build_network("eval")


@pytest.fixture(params=NETS)
def kit(request) -> Kit:
    return Kit(request.param, request)


def test_keys_shapes_and_order(kit):
    state = sz.build_model_name(kit.net).build_network("debug").network().state_dict()
    expected = {
        name: (tuple(spec["shape"]), spec["dtype"]) for name, spec in kit.keys["keys"].items()
    }
    found = {
        name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in state.items()
    }
    assert list(found.items()) == list(expected.items())
    parameters = sz.build_model_name(kit.net).build_network("debug").net.parameters()
    assert sum(p.numel() for p in parameters) == kit.keys["n_params"]


def test_output_and_gradients(kit, tmp_path):
    model, arrays = kit.model(tmp_path), kit.arrays()
    atol = kit.case["suggested_atol_out"]
    with torch.no_grad():
        without_gradients = model(arrays["spike"].to(model.device)).cpu()
    torch.testing.assert_close(without_gradients, arrays["out"], rtol=0, atol=atol)
    out = model(arrays["spike"].to(model.device))
    torch.testing.assert_close(out.cpu(), arrays["out"], rtol=0, atol=atol)
    out.square().sum().backward()
    for name, norm in kit.case["grad_norms_all"].items():
        gradient = model.net.get_parameter(name).grad
        assert gradient is not None
        expected = pytest.approx(norm, rel=kit.case["suggested_rtol_gradnorm"])
        assert gradient.norm().item() == expected, name


def test_double_precision_agrees(kit, tmp_path):
    model, arrays = kit.model(tmp_path), kit.arrays()
    model.net.double()
    with torch.no_grad():
        out = model(arrays["spike"].double().to(model.device)).cpu()
    atol = 1.01 * kit.case["max_abs_diff_f32_vs_f64"] + 1e-9
    torch.testing.assert_close(out, arrays["out"].double(), rtol=0, atol=atol)


def test_intermediate_maps(kit, tmp_path):
    model, arrays = kit.model(tmp_path), kit.arrays()
    seen: dict[str, Tensor] = {}

    def remember(name: str):
        calls = iter(range(99))

        def hook(_module, _inputs, output) -> None:
            outputs = (
                {f"{name}.{k}": value for k, value in enumerate(output)}
                if isinstance(output, tuple)
                else {name: output}
            )
            call = next(calls)
            seen.update({f"mid/{key}#call{call}": value for key, value in outputs.items()})

        return hook

    maps = {key for key in arrays if key.startswith("mid/")}
    for name in {key.removeprefix("mid/").split("#")[0].split(".")[0] for key in maps}:
        model.network().get_submodule(name).register_forward_hook(remember(name))
    with torch.no_grad():
        model(arrays["spike"].to(model.device))
    for key in maps:
        ours = seen[key][:1, : arrays[key].shape[1]].cpu()
        torch.testing.assert_close(ours, arrays[key].float(), rtol=0, atol=4e-6)


def test_spikes_of_a_second_window_continue_the_first(request, tmp_path):
    kit = Kit("ssir", request)
    model, arrays = kit.model(tmp_path), kit.arrays()
    spike = arrays["spike"].to(model.device)
    with torch.no_grad():
        first, second = model.net(spike), model.net(spike)
    atol = kit.case["suggested_atol_out"]
    torch.testing.assert_close(first.cpu(), arrays["out"], rtol=0, atol=atol)
    torch.testing.assert_close(second.cpu(), arrays["out_second_call_no_reset"], rtol=0, atol=atol)
