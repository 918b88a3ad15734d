from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sz_models as sz
from sj_datasets.spike_camera import (
    BaseDatasetConfig,
    save_vidar_dat,
    simulate_spikes,
    write_gray_image,
)
from sz_models.models import SpikeCLIPConfig
from sz_models.pipeline import (
    EnsemblePipeline,
    EnsemblePipelineConfig,
    Pipeline,
    PipelineConfig,
)

T, H, W = 61, 16, 24
RATE = 0.5


def scene(i: int) -> np.ndarray:
    image = np.random.default_rng(i).random((H, W))
    return (np.round(image * 255) / 255).astype(np.float32)


def stream(i: int) -> np.ndarray:
    light = np.broadcast_to(scene(i), (T, H, W))
    return simulate_spikes(light, 1 / RATE, initial=np.zeros((H, W)))


@pytest.fixture(autouse=True)
def no_pyiqa(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)


@pytest.fixture
def data(tmp_path: Path) -> BaseDatasetConfig:
    """Two pairs of a still scene."""
    root = tmp_path / "data"
    for folder in ("spike", "gt"):
        (root / "test" / folder).mkdir(parents=True)
    for i in range(2):
        save_vidar_dat(root / "test" / "spike" / f"{i}.dat", stream(i))
        write_gray_image(root / "test" / "gt" / f"{i}.png", scene(i))
    return BaseDatasetConfig(root_dir=root, height=H, width=W, rate=RATE)


@pytest.fixture
def cfg(tmp_path: Path) -> PipelineConfig:
    return PipelineConfig(save_folder=tmp_path, exp_name="run", metric_names=["psnr", "ssim"])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tfp_image(i: int) -> torch.Tensor:
    return sz.tfp(torch.from_numpy(stream(i)), T // 2, 41)[None, None]


def test_defaults_are_the_documented_ones():
    one, several = PipelineConfig(), EnsemblePipelineConfig()
    assert (one.version, one.save_folder, one.exp_name) == ("local", "", "")
    assert (one.save_metric, one.save_img, one.img_norm) == (True, True, False)
    assert one.metric_names == ["psnr", "ssim", "niqe", "brisque"]
    assert (one.bs_test, one.nw_test, one.pin_memory) == (1, 0, False)
    assert (one._mode, several._mode) == ("single_mode", "multi_mode")


def test_a_sample_becomes_an_image_and_its_metrics(cfg, data, tmp_path):
    pipeline = Pipeline(cfg, "tfp", data)
    out = pipeline.infer_from_dataset(1)
    torch.testing.assert_close(out.cpu(), tfp_image(1))
    folder = tmp_path / "detect" / "run" / "infer_from_dataset" / "base_dataset" / "test" / "000001"
    assert {p.name for p in folder.iterdir()} == {"tfp.png", "sharp_img.png", "metrics.csv"}
    image = (tfp_image(1) / RATE).clamp(0, 1)
    np.testing.assert_array_equal(pixels(folder / "tfp.png"), sz.to_uint8(image[0, 0]))
    np.testing.assert_array_equal(pixels(folder / "sharp_img.png"), sz.to_uint8(scene(1)))
    (row,) = table(folder / "metrics.csv")
    assert float(row["psnr"]) == pytest.approx(sz.psnr(image[0, 0], scene(1)))
    assert {p.name for p in pipeline.folder.path.glob("*.log")} == {
        "result.log",
        "cfg_pipeline.log",
        "cfg_model.log",
        "cfg_dataset.log",
    }
    torch.testing.assert_close(pipeline.infer_from_dataset(-1).cpu(), out.cpu())
    with pytest.raises(IndexError):
        pipeline.infer_from_dataset(2)


def test_autograd_stays_as_it_was(cfg, data):
    pipeline = Pipeline(cfg, "tfp", data)
    assert torch.is_grad_enabled()
    assert not pipeline.infer_from_dataset().requires_grad
    pipeline.cal_metrics()
    assert torch.is_grad_enabled()
    assert not pipeline.model.net.training


def test_a_file_with_its_true_image(cfg, data, tmp_path):
    pipeline = Pipeline(cfg, "tfp", "base")  # whose folder does not exist
    path = Path(data.root_dir) / "test" / "spike" / "0.dat"
    truth = Path(data.root_dir) / "test" / "gt" / "0.png"
    out = pipeline.infer_from_file(path, H, W, rate=RATE, img_path=truth)
    torch.testing.assert_close(out.cpu(), tfp_image(0))
    folder = pipeline.folder.path / "infer_from_file" / "0.dat"
    assert {p.name for p in folder.iterdir()} == {"tfp.png", "sharp_img.png", "metrics.csv"}
    with pytest.raises(ValueError, match="give height and width"):
        pipeline.infer_from_file(path)
    with pytest.raises(FileNotFoundError, match="base"):
        pipeline.infer_from_dataset()


def test_arrays_and_batches(cfg, data):
    pipeline = Pipeline(cfg, "tfp", data)
    batch = np.stack([stream(0), stream(1)])
    out = pipeline.infer_from_spk(batch, RATE, np.stack([scene(0), scene(1)])[:, None])
    torch.testing.assert_close(out.cpu(), torch.cat([tfp_image(0), tfp_image(1)]))
    folder = pipeline.folder.path / "infer_from_spk"
    names = {"tfp_00.png", "tfp_01.png", "sharp_img_00.png", "sharp_img_01.png", "metrics.csv"}
    assert {p.name for p in folder.iterdir()} == names
    single = pipeline.infer_from_spk(torch.from_numpy(stream(1)))
    torch.testing.assert_close(single.cpu(), tfp_image(1))
    np.testing.assert_array_equal(pixels(folder / "tfp.png"), sz.to_uint8(single[0, 0]))


def test_what_is_switched_off_is_not_written(cfg, data):
    cfg.save_img = False
    pipeline = Pipeline(cfg, "tfp", data)
    pipeline.infer_from_spk(stream(0))
    assert not (pipeline.folder.path / "infer_from_spk").exists()
    pipeline.infer_from_dataset()
    assert not list(pipeline.folder.path.rglob("*.png"))
    cfg.save_metric, cfg.save_img, cfg.exp_name = False, True, "other"
    other = Pipeline(cfg, "tfp", data)
    other.infer_from_dataset()
    assert not list(other.folder.path.rglob("*.csv"))


def test_all_images_without_metrics(cfg, data):
    pipeline = Pipeline(cfg, "tfp", data)
    folder = pipeline.save_imgs_from_dataset()
    assert sorted(p.name for p in folder.iterdir()) == ["000000", "000001"]
    assert not list(folder.rglob("*.csv"))
    assert (folder / "000001" / "tfp.png").is_file()


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("zoo_compat", [False, True])
def test_mean_metrics(cfg, data, batch, zoo_compat):
    cfg.bs_test, cfg.zoo_compat = batch, zoo_compat
    pipeline = Pipeline(cfg, "tfp", data)
    means = pipeline.cal_metrics()
    images = [(tfp_image(i)[0, 0] / RATE).clamp(0, 1) for i in range(2)]
    for name in ("psnr", "ssim"):
        values = [
            sz.compute_metric(name, image, scene(i), zoo_compat=zoo_compat)
            for i, image in enumerate(images)
        ]
        assert means[name] == pytest.approx(sum(values) / 2, rel=1e-5)
    rows = table(pipeline.folder.path / "metrics.csv")
    assert [row["sample"] for row in rows] == ["0", "1", "mean"]
    assert float(rows[-1]["psnr"]) == means["psnr"]
    assert type(means) is dict


def test_zoo_compat_truncates_to_eight_bit(cfg, data):
    cfg.zoo_compat = True
    pipeline = Pipeline(cfg, "tfp", data)
    pipeline.infer_from_spk(stream(0))
    expected = sz.to_uint8(tfp_image(0)[0, 0], zoo_compat=True)
    np.testing.assert_array_equal(
        pixels(pipeline.folder.path / "infer_from_spk" / "tfp.png"), expected
    )


def test_img_norm_stretches_both_images(cfg, data):
    cfg.img_norm = True
    pipeline = Pipeline(cfg, "tfp", data)
    pipeline.infer_from_spk(stream(0), img=0.25 + 0.5 * scene(0))
    for name in ("tfp", "sharp_img"):
        levels = pixels(pipeline.folder.path / "infer_from_spk" / f"{name}.png")
        assert (levels.min(), levels.max()) == (0, 255)


def test_spikeclip_is_stretched(cfg, data, tmp_path):
    torch.manual_seed(0)
    clip = SpikeCLIPConfig(model_length=40, model_params={"inDim": 10})
    sz.build_model_cfg(clip).build_network("debug").save_network(tmp_path / "clip.pth")
    clip.ckpt_path = str(tmp_path / "clip.pth")
    wide = np.tile(stream(0), (1, 2, 2))  # its border of 20 pixels is mirrored
    pipeline = Pipeline(cfg, clip, data)
    pipeline.infer_from_spk(wide)
    levels = pixels(pipeline.folder.path / "infer_from_spk" / "spikeclip.png")
    assert (levels.min(), levels.max()) == (0, 255)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("img_norm", [False, True])
def test_the_mean_is_that_of_the_samples(cfg, data, img_norm, free):
    cfg.img_norm = img_norm
    brightness = type("Brightness", (sz.BaseModel,), {"free_brightness": free})
    pipeline = Pipeline(
        cfg, MeanConfig(model_params={"gain": 3.0}, model_cls_local=brightness), data
    )
    rows = []
    for i in range(2):
        pipeline.infer_from_dataset(i)
        folder = pipeline.folder.path / "infer_from_dataset" / "base_dataset" / "test"
        rows += table(folder / f"{i:06d}" / "metrics.csv")
    for name, mean in pipeline.cal_metrics().items():
        assert mean == pytest.approx(sum(float(row[name]) for row in rows) / 2)


def test_data_without_true_images(cfg, data, monkeypatch):
    data.with_img = False
    pipeline = Pipeline(cfg, "tfp", data)
    pipeline.infer_from_dataset()
    folder = pipeline.folder.path / "infer_from_dataset" / "base_dataset" / "test" / "000000"
    assert [p.name for p in folder.iterdir()] == ["tfp.png"]
    with pytest.raises(ValueError, match="has no true images"):
        pipeline.cal_metrics()


def test_missing_metrics_are_left_out_in_one_line(cfg, data, caplog):
    cfg.metric_names = ["psnr", "niqe"]
    pipeline = Pipeline(cfg, "tfp", data)
    assert list(pipeline.cal_metrics()) == ["psnr"]
    pipeline.infer_from_dataset()
    assert [r.getMessage().split(":")[0] for r in caplog.records] == ["niqe is left out"]


def test_costs(cfg, data):
    pipeline = Pipeline(cfg, "tfp", data)
    costs = pipeline.cal_params((1, 50, 8, 8), calls=2)
    assert list(costs) == ["params_m", "flops_g", "macs_g", "latency_ms"]
    (row,) = table(pipeline.folder.path / "params.csv")
    assert row["model"] == "tfp"
    assert float(row["latency_ms"]) == costs["latency_ms"]


class Mean(nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, spike: torch.Tensor) -> torch.Tensor:
        return self.gain * spike.mean(1, keepdim=True)


@dataclass
class MeanConfig(sz.BaseModelConfig):
    model_name: str = "my mean/1.0"
    require_params: bool = False
    arch_cls_local: type = Mean
    model_cls_local: type = sz.BaseModel


def test_models_of_ones_own(cfg, data):
    pipeline = Pipeline(cfg, MeanConfig(), data)
    pipeline.infer_from_spk(stream(0))
    assert (pipeline.folder.path / "infer_from_spk" / "my_mean_1_0.png").is_file()


def test_trained_weights_of_a_local_file(cfg, data, tmp_path):
    torch.manual_seed(0)
    net = sz.BaseModel(sz.BaseModelConfig()).build_network("debug")
    net.save_network(tmp_path / "base.pth")
    base = sz.BaseModelConfig(ckpt_path=str(tmp_path / "base.pth"))
    out = Pipeline(cfg, base, data).infer_from_spk(stream(0))
    with torch.no_grad():
        expected = net(torch.from_numpy(stream(0))[None].to(net.device))
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    ("change", "model", "dataset", "error", "message"),
    [
        ({}, "tpf", "base", ValueError, "unknown method 'tpf'; did you mean 'tfp'"),
        ({}, "tfp", "bsae", ValueError, "no dataset 'bsae'; did you mean 'base'"),
        ({"metric_names": ["pnsr"]}, "tfp", "base", ValueError, "did you mean 'psnr'"),
        ({"version": "v999"}, "tfp", "base", ValueError, "unknown version"),
        ({}, "base", "base", ValueError, "no weights given for base"),
        ({"exp_name": "a/b"}, "tfp", "base", ValueError, "one folder name"),
    ],
)
def test_a_pipeline_that_cannot_be_built_leaves_nothing(
    cfg, tmp_path, change, model, dataset, error, message
):
    for key, value in change.items():
        setattr(cfg, key, value)
    with pytest.raises(error, match=message):
        Pipeline(cfg, model, dataset)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_kept(cfg, data):
    pipeline = Pipeline(cfg, "tfp", data)
    before = (pipeline.folder.path / "cfg_pipeline.log").read_bytes()
    with pytest.raises(FileExistsError, match="run exists and is kept"):
        Pipeline(cfg, "tfi", data)
    assert (pipeline.folder.path / "cfg_pipeline.log").read_bytes() == before


def test_several_models_side_by_side(tmp_path, data):
    cfg = EnsemblePipelineConfig(save_folder=tmp_path, exp_name="all", metric_names=["psnr", "mse"])
    narrow = sz.TFPConfig(model_params={"model_win_length": 21})
    pipeline = EnsemblePipeline(cfg, ["tfp", "tfi", narrow], data)
    assert list(pipeline.models) == ["tfp", "tfi", "tfp_2"]
    out = pipeline.infer_from_dataset()
    torch.testing.assert_close(out["tfp"].cpu(), tfp_image(0))
    narrow_image = sz.tfp(torch.from_numpy(stream(0)), T // 2, 21)
    torch.testing.assert_close(out["tfp_2"][0, 0].cpu(), narrow_image)
    folder = pipeline.folder.path / "infer_from_dataset" / "base_dataset" / "test" / "000000"
    names = {"tfp.png", "tfi.png", "tfp_2.png", "sharp_img.png", "metrics.csv"}
    assert {p.name for p in folder.iterdir()} == names
    assert [row["model"] for row in table(folder / "metrics.csv")] == ["tfp", "tfi", "tfp_2"]
    spike_file = Path(data.root_dir) / "test" / "spike" / "0.dat"
    for same in (
        pipeline.infer_from_file(spike_file, H, W),
        pipeline.infer_from_spk(stream(0)),
    ):
        for label, image in out.items():
            torch.testing.assert_close(same[label], image)
    means = pipeline.cal_metrics()
    assert list(means) == ["tfp", "tfi", "tfp_2"]
    assert list(means["tfi"]) == ["psnr", "mse"]
    assert len(table(pipeline.folder.path / "metrics.csv")) == 3 * (2 + 1)
    assert list(pipeline.cal_params((1, 50, 8, 8), calls=1)) == list(means)
    assert (pipeline.folder.path / "cfg_model.log").read_text().count("model_name = ") == 3


def test_an_ensemble_takes_a_list(tmp_path):
    cfg = EnsemblePipelineConfig(save_folder=tmp_path)
    with pytest.raises(TypeError, match="must be a list"):
        EnsemblePipeline(cfg, "tfp", "base")
    with pytest.raises(ValueError, match="at least one model"):
        EnsemblePipeline(cfg, [], "base")


@pytest.mark.parametrize(
    ("spike", "rate", "img", "message"),
    [
        (np.zeros((41, H)), 1, None, r"\[T, H, W\]"),
        (np.full((41, H, W), 3), 1, None, "0 or 1"),
        (np.zeros((10, H, W)), 1, None, "window"),
        (np.zeros((41, H, W)), 0, None, "rate"),
        (np.zeros((41, H, W)), 1, np.zeros((H, W + 1), np.uint8), "must have shape"),
    ],
)
def test_bad_input_writes_nothing(cfg, data, spike, rate, img, message):
    pipeline = Pipeline(cfg, "tfp", data)
    with pytest.raises(ValueError, match=message):
        pipeline.infer_from_spk(spike, rate, img)
    assert not (pipeline.folder.path / "infer_from_spk").exists()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "the file is empty"),
        (b"123", {}, "less than one 16x24 frame"),
        (bytes(41 * H * W // 8 + 5), {}, "5 bytes remain after 41 frames"),
        (bytes(41 * H * W // 8), {"width": W + 8}, "not a whole number of 16x32 frames"),
        (bytes(40 * H * W // 8), {}, "window 41"),
        (bytes(41 * H * W // 8), {"rate": np.nan}, "rate must be a positive number"),
        (bytes(41 * H * W // 8), {"remove_head": True, "width": 16}, "16"),
    ],
    ids=["empty", "short", "truncated", "wrong size", "window", "rate", "head"],
)
def test_bad_files_write_nothing(cfg, data, tmp_path, content, options, message):
    (tmp_path / "a.dat").write_bytes(content)
    pipeline = Pipeline(cfg, "tfp", data)
    with pytest.raises(ValueError, match=message):
        pipeline.infer_from_file(tmp_path / "a.dat", **{"height": H, "width": W, **options})
    assert not (pipeline.folder.path / "infer_from_file").exists()
