"""Recorded values of the published networks stir and bsf, with made-up weights.

Outputs and gradient norms in float32 at the recorded tolerances; float64 agrees with them within
what single precision loses.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import sz_models as sz
from sz_models.archs.bsf import BSF
from sz_models.dsft import dsft
from sz_models.networks import build_network

VARIANTS = ["stir_v010", "stir_v023", "bsf_v010", "bsf_v023"]
CASES = ["stir_v010.a", "stir_v023.a", "bsf_v010.a", "bsf_v023.a", "bsf_v023.b"]
LEVELS = ["align.align_L3", "align.align_L2", "align.align_L1"]
Kit = Callable[[str], Path]


@pytest.fixture
def kit(request, goldens: Path) -> Kit:
    """Path of a golden file: small ones are kept here, the others in the shared folder."""

    def find(name: str) -> Path:
        kept = goldens / "sz" / name
        if kept.is_file():
            return kept
        return request.getfixturevalue("shared") / "conformance" / "sz-archs" / name

    return find


def arrays(kit: Kit, case: str) -> dict[str, np.ndarray]:
    with np.load(kit(f"{case}.npz")) as file:
        return dict(file)


def filled(kit: Kit, variant: str) -> dict[str, Tensor]:
    """Weights drawn from the names of the parameters."""
    recorded = json.loads(kit(f"{variant}.keys.json").read_text())
    state = {}
    for name, spec in recorded["keys"].items():
        if spec["rule"] == "int0":
            state[name] = torch.zeros(spec["shape"], dtype=torch.int64)
            continue
        rng = np.random.default_rng(zlib.crc32(f"{recorded['salt']}:{name}".encode()))
        z = np.asarray(rng.standard_normal(spec["shape"]))
        if spec["rule"] == "fan":
            value = z * spec["gain"] / np.sqrt(spec["fan_in"])
        else:
            value = spec["mean"] + spec["std"] * (np.abs(z) if spec["rule"] == "pos" else z)
        assert np.abs(value).sum() == pytest.approx(spec["abs_sum"], rel=1e-6)
        state[name] = torch.from_numpy(value.astype(spec["dtype"]))
    return state


def loaded(kit: Kit, variant: str, folder: Path) -> sz.BaseModel:
    """The wrapper of a released version, the made-up weights loaded strictly from a file."""
    name, version = variant.split("_")
    torch.save(filled(kit, variant), folder / f"{name}.pth")
    cfg = type(sz.build_model_name(name).cfg)()
    cfg.ckpt_path = str(folder / f"{name}.pth")
    cfg.model_length, cfg.model_params = cfg.length_for(version), cfg.params_for(version)
    return sz.build_model_cfg(cfg).build_network("eval")


def spikes(recorded: dict[str, np.ndarray]) -> Tensor:
    shape = tuple(recorded["spike_shape"])
    bits = np.unpackbits(recorded["spike_packed"])[: math.prod(shape)]
    return torch.from_numpy(bits.reshape(shape))


def assert_near(ours: Tensor, expected: np.ndarray, atol: float) -> None:
    torch.testing.assert_close(
        ours.cpu(), torch.from_numpy(expected).to(ours.dtype), rtol=0, atol=atol
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_keys_come_in_the_published_order_with_the_published_sizes(kit, variant):
    recorded = json.loads(kit(f"{variant}.keys.json").read_text())
    name, version = variant.split("_")
    net = build_network(sz.build_model_name(name).cfg, version)
    state = net.state_dict()
    assert [(key, list(value.shape), str(value.dtype)) for key, value in state.items()] == [
        (key, spec["shape"], f"torch.{spec['dtype']}") for key, spec in recorded["keys"].items()
    ]
    assert sum(p.numel() for p in net.parameters()) == recorded["n_params"]


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients(kit, tmp_path, case):
    description = json.loads(kit(f"{case}.json").read_text())
    recorded = arrays(kit, case)
    model = loaded(kit, description["net"], tmp_path)
    stream = spikes(recorded).to(model.device)
    out = model(stream)
    assert_near(out, recorded["out"], description["suggested_atol_out"])
    out.square().sum().backward()
    for name, norm in description["grad_norms_all"].items():
        gradient = model.net.get_parameter(name).grad
        assert gradient is not None
        expected = pytest.approx(norm, rel=description["suggested_rtol_gradnorm"])
        assert gradient.norm().item() == expected
    with torch.no_grad():
        assert_near(model(stream), recorded["out"], description["suggested_atol_out"])


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_double_precision_agrees(kit, tmp_path, case):
    description = json.loads(kit(f"{case}.json").read_text())
    recorded = arrays(kit, case)
    model = loaded(kit, description["net"], tmp_path).double()
    out = model(spikes(recorded).to(model.device))
    assert out.dtype is torch.float64
    # The recorded output itself is about this far from its double-precision value.
    atol = 1.2 * description["max_abs_diff_f32_vs_f64"]
    assert_near(out, recorded["out"], atol)


def flattened(output: object, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(output, Tensor):
        yield path, output
    else:
        assert isinstance(output, list | tuple)
        for i, part in enumerate(output):
            yield from flattened(part, f"{path}.{i}")


@pytest.mark.parametrize("variant", ["stir_v010", "stir_v023"])
def test_stir_in_training_mode(kit, tmp_path, variant):
    description = json.loads(kit(f"{variant}.a.json").read_text())
    recorded = arrays(kit, f"{variant}.a")
    model = loaded(kit, variant, tmp_path)
    model.net.train()
    out = dict(flattened(model.net(spikes(recorded).float().to(model.device)), "train_out"))
    assert sorted(out) == sorted(key for key in recorded if key.startswith("train_out"))
    for key, value in out.items():
        assert_near(value, recorded[key], description["suggested_atol_out"])
    for key in ("resnet.bn1.running_mean", "resnet.bn2.running_var"):
        assert_near(model.net.state_dict()[key], recorded[f"train_after/{key}"], 1e-6)


def hooked_outputs(net: torch.nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Filled when ``net`` runs: the first stream of every first output of the modules."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: torch.nn.Module, _inputs: object, output: object) -> None:
            for path, value in flattened(output, name):
                seen.setdefault(f"{path}#call0", value[:1])

        return hook

    for name in names:
        net.get_submodule(name).register_forward_hook(keep(name))
    return seen


@pytest.mark.parametrize(
    ("variant", "names"),
    [
        ("stir_v010", ["resnet", "transformer"]),
        ("stir_v023", ["resnet", "transformer"]),
        ("bsf_v010", ["rep", "encoder", *LEVELS]),
        ("bsf_v023", ["rep", "encoder", *LEVELS]),
    ],
)
@torch.no_grad()
def test_intermediate_maps(kit, tmp_path, variant, names):
    recorded = arrays(kit, f"{variant}.a")
    model = loaded(kit, variant, tmp_path)
    seen = hooked_outputs(model.net, names)
    model(spikes(recorded).to(model.device))
    assert seen
    for key, value in seen.items():
        expected = recorded[f"mid/{key}"]
        assert_near(value[:, : expected.shape[1]], expected, 5e-5)


@pytest.mark.parametrize("variant", ["bsf_v010", "bsf_v023"])
def test_interval_maps_of_bsf(kit, variant):
    recorded = arrays(kit, f"{variant}.a")
    for name, counts in dsft(spikes(recorded)).items():
        assert torch.equal(counts, torch.from_numpy(recorded[f"rep/{name}"]))


def test_interval_maps_of_a_recording(shared: Path):
    folder = shared / "conformance" / "sz"
    with np.load(folder / "spikecv_and_dsft.npz") as file:
        crop = np.unpackbits(file["crop_spikes_bits"], axis=-1, bitorder="little")
        frames = torch.from_numpy(crop[120:181, :16, :16].copy())
        for name, counts in dsft(frames).items():
            assert torch.equal(counts, torch.from_numpy(file[name]))


@torch.no_grad()
def test_floating_point_maps_are_taken_too(kit):
    recorded = arrays(kit, "bsf_v023.b")
    net = BSF(41).eval()
    net.load_state_dict(filled(kit, "bsf_v023"))
    maps = {name: counts.float() for name, counts in dsft(spikes(recorded)).items()}
    assert_near(net({"dsft_dict": maps}), recorded["out"], 3.5e-6)
