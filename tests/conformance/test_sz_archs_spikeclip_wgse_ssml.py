"""Recorded values of the published networks spikeclip, wgse and ssml, with made-up weights.

Outputs and gradient norms in float32 at the recorded tolerances; float64 agrees with them within
what single precision loses.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import sz_models as sz
from sz_models.networks import build_network
from sz_models.wavelet import WaveletAnalysis, WaveletSynthesis

CASES = ["spikeclip.a", "wgse.a", "ssml.a", "ssml.b"]


@pytest.fixture
def kit(request, goldens: Path):
    """Path of a golden file: small ones are kept here, the others in the shared folder."""

    def find(name: str) -> Path:
        kept = goldens / "sz" / name
        if kept.is_file():
            return kept
        return request.getfixturevalue("shared") / "conformance" / "sz-archs" / name

    return find


@pytest.fixture(params=CASES)
def case(request, kit):
    """Name of the network, description of the case, arrays."""
    description = json.loads(kit(f"{request.param}.json").read_text())
    with np.load(kit(f"{request.param}.npz")) as file:
        return description["net"], description, dict(file)


def filled(kit, net: str) -> dict[str, torch.Tensor]:
    """Weights drawn from the names of the parameters; fixed filters come from a file."""
    recorded = json.loads(kit(f"{net}.keys.json").read_text())
    state = {}
    for name, spec in recorded["keys"].items():
        if spec["rule"] == "file":
            with np.load(kit(f"{net}.buffers.npz")) as file:
                state[name] = torch.from_numpy(file[name])
            continue
        rng = np.random.default_rng(zlib.crc32(f"{recorded['salt']}:{name}".encode()))
        value = rng.standard_normal(spec["shape"])
        if spec["rule"] == "fan":
            value = value * spec["gain"] / np.sqrt(spec["fan_in"])
        else:
            value = spec["mean"] + spec["std"] * value
        assert np.abs(value).sum() == pytest.approx(spec["abs_sum"], rel=1e-6)
        state[name] = torch.from_numpy(value.astype(spec["dtype"]))
    return state


def loaded(kit, net: str, folder: Path) -> sz.BaseModel:
    """The wrapper with the made-up weights, loaded strictly from a file."""
    torch.save(filled(kit, net), folder / f"{net}.pth")
    cfg = type(sz.build_model_name(net).cfg)(ckpt_path=str(folder / f"{net}.pth"))
    return sz.build_model_cfg(cfg).build_network("eval")


def spikes(arrays: dict[str, np.ndarray]) -> torch.Tensor:
    shape = tuple(arrays["spike_shape"])
    bits = np.unpackbits(arrays["spike_packed"])[: math.prod(shape)]
    return torch.from_numpy(bits.reshape(shape))


@pytest.mark.parametrize("net", ["spikeclip", "wgse", "ssml"])
def test_keys_come_in_the_published_order_with_the_published_sizes(kit, net):
    recorded = json.loads(kit(f"{net}.keys.json").read_text())
    state = build_network(sz.build_model_name(net).cfg, "v023").state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == [
        (key, spec["shape"]) for key, spec in recorded["keys"].items()
    ]
    assert all(str(v.dtype) == f"torch.{recorded['keys'][k]['dtype']}" for k, v in state.items())


def test_output_and_gradients(kit, case, tmp_path):
    net, description, arrays = case
    model = loaded(kit, net, tmp_path)
    expected, atol = torch.from_numpy(arrays["out"]), description["suggested_atol_out"]
    with torch.no_grad():
        out = model(spikes(arrays).to(model.device))
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=atol)
    out = model(spikes(arrays).to(model.device))
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=atol)
    out.square().sum().backward()
    for name, norm in description["grad_norms_all"].items():
        gradient = model.net.get_parameter(name).grad
        if norm is None:
            assert gradient is None
            continue
        assert gradient is not None
        close = pytest.approx(norm, rel=description["suggested_rtol_gradnorm"])
        assert gradient.norm().item() == close, name


def test_output_in_training_mode(kit, case, tmp_path):
    net, description, arrays = case
    model = loaded(kit, net, tmp_path)
    model.net.train()
    out = model.net(model.preprocess_spike(spikes(arrays).to(model.device)).float())
    recorded = [arrays[key] for key in ("train_out.0", "train_out.1") if key in arrays]
    outputs = out if isinstance(out, tuple) else (model.postprocess_img(out),)
    for ours, expected in zip(outputs, recorded or [arrays["out"]], strict=True):
        torch.testing.assert_close(
            ours.cpu(),
            torch.from_numpy(expected),
            rtol=0,
            atol=2 * description["suggested_atol_out"],
        )


@torch.no_grad()
def test_double_precision_agrees(kit, case, tmp_path):
    net, description, arrays = case
    model = loaded(kit, net, tmp_path).double()
    out = model(spikes(arrays).to(model.device))
    assert out.dtype is torch.float64
    # the recorded output itself is this far from its double-precision value
    atol = 1.01 * description["max_abs_diff_f32_vs_f64"] + 1e-9
    torch.testing.assert_close(
        out.cpu(), torch.from_numpy(arrays["out"]).double(), rtol=0, atol=atol
    )


def test_intermediate_image_of_wgse(kit, tmp_path):
    model = loaded(kit, "wgse", tmp_path)
    with np.load(kit("wgse.a.npz")) as file:
        arrays = dict(file)
    net = model.network()
    assert isinstance(net, sz.archs.wgse.Dwt1dResnetX_TCN)
    image = net.wvl(spikes(arrays)[:1].float().to(model.device))
    expected = torch.from_numpy(arrays["mid/wvl#call0"])
    torch.testing.assert_close(image.cpu(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [41, 61, 64])
def test_wavelet_transform(kit, length):
    with np.load(kit("ops.dwt1d_db8.npz")) as file:
        recorded = {key: torch.from_numpy(file[key]) for key in file.files}
    golden = {
        key.split("/")[1]: value.unsqueeze(-1)
        for key, value in recorded.items()
        if key.startswith(f"L{length}/")
    }
    analysis, synthesis = WaveletAnalysis(5), WaveletSynthesis()
    for name, buffer in [*analysis.named_buffers(), *synthesis.named_buffers()]:
        assert torch.equal(buffer, recorded[name])
    low, high = analysis(golden["x"])
    torch.testing.assert_close(low, golden["yl"], rtol=0, atol=2e-6)
    for level, hi in enumerate(high):
        torch.testing.assert_close(hi, golden[f"yh{level}"], rtol=0, atol=2e-6)
    torch.testing.assert_close(synthesis(low, high), golden["rec"], rtol=0, atol=2e-6)
    positive = synthesis(low.relu(), [hi.relu() for hi in high])
    torch.testing.assert_close(positive, golden["rec_relu"], rtol=0, atol=2e-6)
