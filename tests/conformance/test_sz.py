"""Recorded values of spike-camera files, simulation, reconstructions, metrics and the base network.

The values come from Spike-Zoo. Two kinds of its rows are defined differently here, as the tests
say: windows that leave the stream are errors, and so are files with an incomplete last frame.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import sj_datasets
import sz_models as sz
from sj_datasets.spike_camera import read_gray_image

RECORDINGS = {
    "data": "data",
    "203_part2": "base/train/{kind}/203_part2_key_id151",
    "203_part3": "base/train/{kind}/203_part3_key_id151",
}
H, W = 250, 400
WINDOWS = (5, 11, 21, 41, 81)
KEYS = (60, 100, 200, 240)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def sz_goldens(goldens: Path) -> Path:
    return goldens / "sz"


def manifest(folder: Path, name: str) -> dict:
    return json.loads((folder / f"manifest_{name}.json").read_text())


# Recordings


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request, shared: Path, sz_goldens: Path):
    """Name, decoded stream, integer goldens, manifest entry, truth."""
    folder = shared / "data" / "spike-camera"
    path, truth = (
        folder / (RECORDINGS[request.param].format(kind=kind) + suffix)
        for kind, suffix in (("spike", ".dat"), ("gt", ".png"))
    )
    stream = sj_datasets.load_vidar_dat(path, H, W)
    with np.load(shared / "conformance" / "sz" / f"{request.param}.npz") as file:
        counts = dict(file)
    return stream, counts, manifest(sz_goldens, "dat")[request.param], truth


def test_recordings_decode_to_the_recorded_bits(recording):
    stream, counts, entry, _ = recording
    assert stream.shape == (entry["frames"], H, W)
    assert sha256(stream) == entry["sha256_uint8_THW"]
    assert sha256(stream.astype(bool)) == entry["sha256_bool_THW"]
    assert int(stream.sum()) == entry["total_spikes"]
    assert "".join(map(str, stream[0, 0, :32])) == entry["first_frame_row0_first32"]
    assert "".join(map(str, stream[-1, -1, -32:])) == entry["last_frame_row249_last32"]
    np.testing.assert_array_equal(stream.sum(axis=(1, 2), dtype=int), counts["frame_sums"])
    np.testing.assert_array_equal(stream.sum(axis=(0, 2), dtype=int), counts["row_sums"])
    np.testing.assert_array_equal(stream.sum(axis=(0, 1), dtype=int), counts["col_sums"])


def test_recordings_are_written_back_byte_for_byte(recording, tmp_path):
    stream, _, entry, _ = recording
    sj_datasets.save_vidar_dat(tmp_path / "a.dat", stream)
    assert sha256(np.fromfile(tmp_path / "a.dat", np.uint8)) == entry["sha256_file"]


def assert_integers(stream: np.ndarray, counts: dict, key: int, window: int, name: str) -> None:
    """TFP times its frames and 1 / TFI are the recorded integers."""
    spikes = torch.from_numpy(stream)
    frames = 2 * (window // 2) + 1
    tfp, tfi = sz.tfp(spikes, key, window).double(), sz.tfi(spikes, key, window).double()
    np.testing.assert_array_equal((tfp * frames).round(), counts[f"tfp_{name}_count"])
    np.testing.assert_array_equal((1 / tfi).round(), counts[f"tfi_{name}_interval"])


@pytest.mark.parametrize("window", WINDOWS)
def test_central_images_are_exact(recording, window):
    stream, counts, entry, _ = recording
    assert_integers(stream, counts, 150, window, f"w{window}")
    for name, method in (("tfp", sz.tfp), ("tfi", sz.tfi)):
        for dtype in (torch.uint8, torch.float32):
            image = method(torch.from_numpy(stream).to(dtype), 150, window)
            assert sha256(image.numpy()) == entry[f"{name}_w{window}"]["sha256_float32"]


@pytest.mark.parametrize("key", KEYS)
def test_images_at_other_key_frames_are_exact(recording, key):
    stream, counts, _, _ = recording
    assert_integers(stream, counts, key, 41, f"w41_key{key}")


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("method", ["tfp", "tfi"])
def test_image_quality(recording, method, window):
    stream, _, entry, truth_path = recording
    truth = read_gray_image(truth_path)
    assert sha256(truth) == entry["gt_sha256_float32"]
    image = sz.reconstruct(stream, method=method, window=window, rate=0.6)
    expected = entry["metrics_rate0.6"][f"{method}_w{window}"]
    assert sz.psnr(image, truth) == pytest.approx(expected["psnr_dr1"], abs=1e-4)
    assert sz.ssim(image, truth) == pytest.approx(expected["ssim_gauss_dr1"], abs=1e-4)
    for name, metric in (("mse", sz.mse), ("psnr", sz.psnr), ("ssim", sz.ssim)):
        value = metric(image, truth, zoo_compat=True)
        assert value == pytest.approx(expected[name], abs=1e-4)


def test_main_numbers_of_the_readme(shared: Path):
    folder = shared / "data" / "spike-camera"
    truth = read_gray_image(folder / "data.png")
    options = {"height": H, "width": W, "key_frame": 150, "rate": 0.6}
    tfp = sz.reconstruct(folder / "data.dat", method="tfp", window=41, **options)
    gtfp = sz.reconstruct(folder / "data.dat", method="gtfp", sigma=5.0, **options)
    assert sz.psnr(tfp, truth) == pytest.approx(31.60, abs=0.01)
    assert sz.psnr(gtfp, truth) == pytest.approx(35.70, abs=0.01)


def test_the_real_recording(shared: Path, sz_goldens: Path):
    entry = manifest(sz_goldens, "misc")["uhsr"]
    with np.load(shared / "data" / "spike-camera" / "uhsr.npz") as file:
        crop = np.ascontiguousarray(file["spk"][:, 13:237, 13:237])
    assert sha256(crop) == entry["crop_sha256_uint8"]
    with np.load(shared / "conformance" / "sz" / "uhsr.npz") as counts:
        np.testing.assert_array_equal(crop.sum(axis=(1, 2), dtype=int), counts["frame_sums"])
        for window in (21, 41, 101):
            assert_integers(crop, dict(counts), 100, window, f"w{window}")


# Files


@pytest.fixture(scope="module")
def writer(sz_goldens: Path) -> dict[str, np.ndarray]:
    with np.load(sz_goldens / "dat_writer.npz") as file:
        return dict(file)


# The row 4x250x400 is left out: its hash is recorded, its spikes are not.
@pytest.mark.parametrize("size", ["3x4x16", "2x5x8", "2x6x4"])
@pytest.mark.parametrize("flip", [0, 1])
def test_written_bytes(writer, sz_goldens, tmp_path, size, flip):
    shape = tuple(map(int, size.split("x")))
    entry = manifest(sz_goldens, "synthetic")["dat_writer"][f"{size}_flip{flip}"]
    spikes = writer[f"in_{size}"]
    sj_datasets.save_vidar_dat(tmp_path / "a.dat", spikes, flipud=bool(flip))
    written = np.fromfile(tmp_path / "a.dat", np.uint8)
    assert (written.size, sha256(written)) == (entry["nbytes"], entry["sha256"])
    np.testing.assert_array_equal(written, writer[f"bytes_{size}_flip{flip}"])
    read = sj_datasets.load_vidar_dat(tmp_path / "a.dat", *shape[1:])
    np.testing.assert_array_equal(read if flip else read[:, ::-1], spikes)


@pytest.mark.parametrize("flip", [False, True])
def test_frames_that_do_not_fill_bytes_are_errors(writer, tmp_path, flip):
    with pytest.raises(ValueError, match="multiple of 8"):
        sj_datasets.save_vidar_dat(tmp_path / "a.dat", writer["in_2x3x5"], flipud=flip)


def test_reader_rows(sz_goldens, tmp_path):
    rows = manifest(sz_goldens, "synthetic")["dat_reader"]
    path = tmp_path / "a.dat"
    path.write_bytes(bytes(range(64)))
    assert list(sz.load_vidar_dat(path, 8, 16).shape) == rows["64B_8x16"]["shape"]
    assert sz.load_vidar_dat(path, 8, 16).dtype == rows["64B_8x16"]["dtype"]
    tensor = sz.load_vidar_dat(path, 8, 16, out_format="tensor")
    assert [str(tensor.dtype), list(tensor.shape)] == list(rows["tensor"].values())
    with pytest.raises(ValueError, match="16 bytes remain after 2 frames"):
        sj_datasets.load_vidar_dat(path, 8, 24)
    cut = sj_datasets.load_vidar_dat(path, 8, 24, strict=False)
    assert list(cut.shape) == rows["64B_8x24_truncates"]["shape"]
    headless = sj_datasets.load_vidar_dat(path, 8, 32, remove_head=True)
    assert list(headless.shape) == rows["64B_8x32_remove_head"]["shape"]
    with pytest.raises(ValueError, match="less than one"):
        sj_datasets.load_vidar_dat(path, 80, 16)


# Simulation


@pytest.mark.parametrize("video", ["ramp", "drift", "step"])
@pytest.mark.parametrize("threshold", [1, 2, 5])
@pytest.mark.parametrize("seed", [0, 521])
def test_simulated_spikes(sz_goldens, video, threshold, seed):
    case = f"{video}_th{threshold}_seed{seed}"
    entry = manifest(sz_goldens, "synthetic")["simulate"][case]
    with np.load(sz_goldens / "simulate.npz") as file:
        light, initial, packed = (
            file[f] for f in (f"video_{video}", f"init_{case}", f"spk_{case}")
        )
    spikes = sj_datasets.simulate_spikes(light, threshold, initial=initial)
    assert (int(spikes.sum()), sha256(spikes)) == (entry["sum"], entry["sha256_uint8"])
    recorded = np.unpackbits(packed, axis=-1, bitorder="little")[..., : light.shape[-1]]
    np.testing.assert_array_equal(spikes, recorded)


def test_simulated_saturation(sz_goldens):
    entry = manifest(sz_goldens, "synthetic")["simulate"]["saturation_0.9_th0.5_seed3"]
    spikes = sj_datasets.simulate_spikes(np.full((16, 8, 8), 0.9), 0.5, rng=3)
    assert spikes.all() == entry["all_ones"]


# Small reconstructions


def small_cases() -> list[tuple[str, str, int]]:
    shapes = ["b1t41h6w8", "b2t41h5w7", "b1t21h6w8", "b1t40h6w8", "b1t101h4w6", "b1t12h4w4"]
    windows = [1, 2, 3, 8, 9, 20, 21, 40, 41, 42, 61]
    return [(m, s, w) for m in ("tfp", "tfi") for s in shapes for w in windows]


@pytest.mark.parametrize(("method", "shape", "window"), small_cases())
def test_small_streams(sz_goldens, method, shape, window):
    """Equal where the window lies in the stream, an error elsewhere and where TFI divides by 0."""
    key = f"{method}_w{window}_{shape}"
    status = manifest(sz_goldens, "synthetic")["small"][key]
    with np.load(sz_goldens / "tfp_tfi_small.npz") as file:
        spikes = torch.from_numpy(file[f"in_{shape}"])
        expected = torch.from_numpy(file[key]) if key in file else None
    n_frames, half = spikes.shape[1], window // 2
    leaves = n_frames // 2 - half < 0 or n_frames // 2 + half >= n_frames
    function = getattr(sz, method)
    if leaves or not status.startswith("ok"):
        with pytest.raises(ValueError, match="window"):
            function(spikes, window=window)
        return
    for dtype in (torch.uint8, torch.float32):
        image = function(spikes.to(dtype), window=window)
        torch.testing.assert_close(image, expected, rtol=1.2e-7, atol=0)


@pytest.mark.parametrize("case", ["zeros", "ones", "only0and30", "only1and40"])
@pytest.mark.parametrize("method", ["tfp", "tfi"])
def test_corner_streams(sz_goldens, method, case):
    stream = torch.full((1, 41, 2, 2), float(case == "ones"))
    if "and" in case:
        stream[:, [int(n) for n in case.removeprefix("only").split("and")]] = 1
    expected = manifest(sz_goldens, "synthetic")["small"][f"{method}41_{case}"]
    assert getattr(sz, method)(stream, window=41)[0, 0, 0, 0].item() == pytest.approx(expected)


# Models and metrics


def crop_rows() -> list[tuple[int, int]]:
    return [(length, n) for length in (41, 200, 61, 10) for n in (301, 300, 200, 41, 61, 10, 9)]


@pytest.mark.parametrize(("length", "n_frames"), crop_rows())
def test_crop_rule(sz_goldens, length, n_frames):
    row = manifest(sz_goldens, "misc")["crop_spike_length_first_last_count"]
    expected = row[f"L{length}_T{n_frames}"]
    model = sz.BaseModel(sz.BaseModelConfig(model_length=length))
    stream = torch.arange(n_frames).view(1, -1, 1, 1)
    if expected == "AssertionError":
        with pytest.raises(ValueError, match=f"takes {length} frames"):
            model.crop_spike_length(stream)
        return
    frames = model.crop_spike_length(stream).flatten().tolist()
    assert [frames[0], frames[-1], len(frames)] == expected


def metric_pairs(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with np.load(folder / "metrics_inputs.npz") as file:
        a, b = file["a"], file["b"]
    bright = 0.5 + 0.5 * a, 0.5 + 0.5 * b
    batch = np.concatenate([a, bright[0]]), np.concatenate([b, bright[1]])
    return {"ab": (a, b), "ba": (b, a), "bright_ab": bright, "batch2": batch, "identical": (a, a)}


@pytest.mark.parametrize("pair", ["ab", "ba", "bright_ab", "batch2", "identical"])
@pytest.mark.parametrize("metric", ["mse", "psnr", "ssim"])
def test_zoo_metrics(sz_goldens, pair, metric):
    expected = manifest(sz_goldens, "misc")["metrics"][f"{pair}_{metric}"]
    value = sz.compute_metric(metric, *metric_pairs(sz_goldens)[pair], zoo_compat=True)
    assert value == expected or math.isclose(value, expected, abs_tol=1e-4)


def test_zoo_eight_bit_conversion(sz_goldens):
    ((*expected,),) = manifest(sz_goldens, "misc")[
        "tensor2npy_[0,.001,.5,.999,1,1.2,-.1,127.9/255]"
    ]
    values = torch.tensor([0, 0.001, 0.5, 0.999, 1, 1.2, -0.1, 127.9 / 255])
    assert sz.to_uint8(values, zoo_compat=True).tolist() == expected


def filled(keys: dict, salt: str) -> dict[str, torch.Tensor]:
    """Weights drawn from the names of the parameters."""
    state = {}
    for name, spec in keys.items():
        rng = np.random.default_rng(zlib.crc32(f"{salt}:{name}".encode()))
        z = rng.standard_normal(spec["shape"])
        if spec["rule"] == "fan":
            value = z * spec["gain"] / np.sqrt(spec["fan_in"])
        else:
            value = spec["mean"] + spec["std"] * z
        assert np.abs(value).sum() == pytest.approx(spec["abs_sum"], rel=1e-6)
        state[name] = torch.from_numpy(value.astype(spec["dtype"]))
    return state


def test_base_network(sz_goldens, tmp_path):
    """Output and gradients of the published network, its weights loaded from a file."""
    keys = json.loads((sz_goldens / "base.keys.json").read_text())
    case = json.loads((sz_goldens / "base.a.json").read_text())
    torch.save(filled(keys["keys"], keys["salt"]), tmp_path / "base.pth")
    cfg = sz.BaseModelConfig(ckpt_path=str(tmp_path / "base.pth"))
    model = sz.BaseModel(cfg).build_network("eval")
    with np.load(sz_goldens / "base.a.npz") as file:
        expected, shape = torch.from_numpy(file["out"]), tuple(file["spike_shape"])
        bits = np.unpackbits(file["spike_packed"])[: math.prod(shape)].reshape(shape)
    out = model(torch.from_numpy(bits).to(model.device))
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=case["suggested_atol_out"])
    out.square().sum().backward()
    for name, norm in case["grad_norms_all"].items():
        gradient = model.net.get_parameter(name).grad
        assert gradient is not None
        assert gradient.norm().item() == pytest.approx(norm, rel=case["suggested_rtol_gradnorm"])
