from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import sz_models as sz
from sj_datasets import SpikeStream


@pytest.fixture
def spikes() -> np.ndarray:
    return (np.random.default_rng(0).random((61, 12, 16)) < 0.3).astype(np.uint8)


@pytest.fixture
def model() -> sz.BaseModel:
    torch.manual_seed(0)
    return sz.BaseModel(sz.BaseModelConfig(model_params={"inDim": 41})).build_network("debug")


def on_device(model: sz.BaseModel, spikes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(spikes)[None].to(model.device)


def test_forward_takes_the_central_frames(model, spikes):
    stream = on_device(model, spikes)
    image = model(stream)
    assert image.shape == (1, 1, 12, 16)
    torch.testing.assert_close(image, model.net(stream[:, 10:51].float()))
    assert model.spike_size == (12, 16)
    torch.testing.assert_close(model(stream.float()), image)


@pytest.mark.parametrize(("mode", "training"), [("debug", False), ("train", True)])
def test_modes_decide_the_training_flag_of_the_network(mode, training):
    model = sz.BaseModel(sz.BaseModelConfig())
    assert model.build_network(mode) is model
    assert model.net.training is training
    assert model.training


def test_eval_loads_the_weights_of_ckpt_path(tmp_path, model, spikes):
    model.save_network(tmp_path / "base.pth")
    cfg = sz.BaseModelConfig(ckpt_path=str(tmp_path / "base.pth"))
    other = sz.BaseModel(cfg).build_network(mode="eval", version="local")
    assert cfg.load_state
    stream = on_device(model, spikes)
    torch.testing.assert_close(other(stream), model(stream), rtol=0, atol=0)


def test_eval_loads_released_weights_from_the_folder(tmp_path, monkeypatch, model):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path))
    (tmp_path / "v023").mkdir()
    model.save_network(tmp_path / "v023" / "base.pth")
    released = sz.BaseModel(sz.BaseModelConfig()).build_network(mode="eval", version="v023")
    for key, value in model.net.state_dict().items():
        torch.testing.assert_close(released.net.state_dict()[key], value)


def test_train_loads_weights_only_on_request(tmp_path, model):
    model.save_network(tmp_path / "a.pth")
    cfg = sz.BaseModelConfig(ckpt_path=str(tmp_path / "a.pth"), load_state=True)
    loaded = sz.BaseModel(cfg).build_network("train")
    torch.testing.assert_close(loaded.net.seq[4].bias, model.net.seq[4].bias)
    fresh = sz.BaseModel(sz.BaseModelConfig()).build_network("train")
    assert not torch.equal(fresh.net.seq[4].weight, model.net.seq[4].weight)


def test_weights_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"v0\.2\.3/base\.pth"):
        sz.BaseModel(sz.BaseModelConfig()).build_network("eval", "v023")
    with pytest.raises(ValueError, match="set ckpt_path"):
        sz.BaseModel(sz.BaseModelConfig()).build_network("eval")
    with pytest.raises(FileNotFoundError, match="no such weight file"):
        sz.BaseModel(sz.BaseModelConfig(ckpt_path="nowhere.pth")).build_network("eval")


def test_unknown_modes_and_versions_are_named():
    model = sz.BaseModel(sz.BaseModelConfig())
    with pytest.raises(ValueError, match=r"unknown mode 'evla'; did you mean 'eval'"):
        model.build_network("evla")
    with pytest.raises(ValueError, match="unknown version of base 'v9'"):
        model.build_network("debug", "v9")


def test_a_model_without_a_network_says_so():
    model = sz.BaseModel(sz.BaseModelConfig())
    with pytest.raises(AttributeError, match=r"call build_network\(\)"):
        model(torch.zeros(1, 41, 4, 4))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = model.nonsense


def test_streams_that_do_not_fit_are_refused(model):
    with pytest.raises(ValueError, match=r"\[B, T, H, W\].*spikes\[None\]"):
        model(torch.zeros(41, 4, 4))
    with pytest.raises(ValueError, match="takes 41 frames, but the stream has 40"):
        model(torch.zeros(1, 40, 4, 4))


@pytest.mark.parametrize("length", [41, 40])
def test_an_image_at_a_key_frame_is_the_image_of_the_crop_around_it(spikes, length):
    cfg = sz.BaseModelConfig(model_length=length, model_params={"inDim": length})
    model = sz.BaseModel(cfg).build_network()
    expected = model(on_device(model, spikes[3 : 3 + length]))[0, 0]
    for stream in (spikes, torch.from_numpy(spikes), SpikeStream.from_array(spikes)):
        torch.testing.assert_close(model.image_at(stream, 3 + length // 2), expected)
    with pytest.raises(ValueError, match="needs frames"):
        model.image_at(spikes, 5)


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (np.full((41, 4, 4), 2), "0 or 1"),
        (np.full((41, 4, 4), np.nan), "0 or 1"),
        (np.zeros((4, 4)), r"\[T, H, W\]"),
    ],
    ids=["value", "nan", "ndim"],
)
def test_streams_that_are_no_spikes_are_refused(spikes, message):
    for name in ("tfp", "gtfp"):
        with pytest.raises(ValueError, match=message):
            sz.build_model_name(name).build_network().image_at(spikes)


def test_outputs_losses_and_pairs(model, spikes):
    batch = model.feed_to_device(
        {
            "spike": torch.from_numpy(spikes)[None].float(),
            "gt_img": torch.full((1, 1, 12, 16), 0.5),
            "rate": torch.tensor([0.5]),
            "name": "a",
        }
    )
    assert batch["name"] == "a"
    outputs = model.get_outputs_dict(batch)
    torch.testing.assert_close(outputs["recon_img"], model(batch["spike"]) / 0.5)
    losses, values = model.get_loss_dict(outputs, batch, {"l1": 2.0, "l2": 0.5})
    difference = outputs["recon_img"] - batch["gt_img"]
    assert values["l1"] == pytest.approx(2 * difference.abs().mean().item())
    assert values["l2"] == pytest.approx(0.5 * difference.square().mean().item())
    losses["l1"].backward()
    assert set(model.get_visual_dict(batch, outputs)) == {"recon_img", "gt_img"}
    assert model.get_paired_imgs(batch, outputs)[1] is batch["gt_img"]


def test_losses_are_made_once_and_unknown_ones_named(model):
    assert model.get_loss_func("l1") is model.get_loss_func("l1")
    with pytest.raises(ValueError, match=r"unknown loss 'l3'; did you mean"):
        model.get_loss_func("l3")


def test_several_gpus_do_not_change_the_saved_keys(tmp_path, model):
    parallel = sz.BaseModel(sz.BaseModelConfig(multi_gpu=True)).build_network()
    assert isinstance(parallel.net, nn.DataParallel)
    parallel.save_network(tmp_path / "a.pth")
    saved = torch.load(tmp_path / "a.pth", weights_only=True)
    assert list(saved) == list(model.net.state_dict())


def test_an_unwritable_folder_leaves_nothing(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model.save_network(tmp_path / "no" / "a.pth")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model_class", "config", "function"),
    [(sz.TFP, sz.TFPConfig, sz.tfp), (sz.TFI, sz.TFIConfig, sz.tfi)],
)
@pytest.mark.parametrize("window", [21, 41, 61])
@pytest.mark.parametrize("version", ["local", "v023"])
def test_windowed_methods_take_their_window_in_every_version(
    spikes, model_class, config, function, window, version
):
    cfg = config(model_params={"model_win_length": window})
    model = model_class(cfg).build_network("eval", version)
    image = model(on_device(model, spikes))
    torch.testing.assert_close(image[0, 0].cpu(), function(torch.from_numpy(spikes), window=window))
    if window == 21:
        expected = function(torch.from_numpy(spikes), 14, window=window)
        torch.testing.assert_close(model.image_at(spikes, 14).cpu(), expected)


@pytest.mark.parametrize("key", [0, 7, 30, 60])
@pytest.mark.parametrize("sigma", [0.5, 5.0])
def test_gaussian_playback_reads_only_the_frames_that_count(spikes, key, sigma):
    cfg = sz.GTFPConfig(model_params={"sigma": sigma})
    model = sz.GTFPModel(cfg).build_network("eval", "v023")
    expected = sz.gtfp(torch.from_numpy(spikes), key, sigma=sigma)
    torch.testing.assert_close(model.image_at(spikes, key).cpu(), expected)
    assert model.input_length() == 2 * math.ceil(9 * sigma) + 1


def test_gaussian_playback_in_a_window(spikes):
    cfg = sz.GTFPConfig(model_params={"model_win_length": 11})
    model = sz.GTFPModel(cfg).build_network()
    expected = sz.gtfp(torch.from_numpy(spikes), 20, window=11)
    torch.testing.assert_close(model.image_at(spikes, 20).cpu(), expected)
    with pytest.raises(ValueError, match="sigma must be a positive number"):
        sz.GTFPModel(sz.GTFPConfig(model_params={"sigma": 0.0})).build_network()
