"""What is no stream of spikes is refused in the same words, whichever way it comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sz_models as sz
from sz_models import classical
from sz_models.pipeline import EnsemblePipeline, EnsemblePipelineConfig, Pipeline, PipelineConfig

T, H, W = 61, 4, 8
GOOD = (np.random.default_rng(0).random((T, H, W)) < 0.3).astype(np.uint8)
METHODS = ("tfp", "tfi", "gtfp", "isi")


def holding(value: float, dtype: str) -> np.ndarray:
    stream = GOOD.astype(dtype)
    stream[T // 2, 1, 2] = value
    return stream


VALUES = {
    "nan": holding(np.nan, "f4"),
    "infinite": holding(np.inf, "f8"),
    "half": holding(0.5, "f4"),
    "negative half": holding(-0.5, "f2"),
    "negative": holding(-1, "i1"),
    "two": holding(2, "u1"),
    "255": holding(255, "u1"),
    "256": holding(256, "i8"),  # 0 in 8 bits
    "257 in 16": holding(257, "u2"),
}
AXES = {
    "picture": GOOD[0],
    "number": np.zeros(()),
    "five axes": GOOD[None, None],
}
EMPTY = {
    "no frames": GOOD[:0],
    "no rows": GOOD[:, :0],
    "no columns": GOOD[:, :, :0],
}
TYPES = {
    "list": GOOD.tolist(),
    "none": None,
    "number": 3,
    "complex": GOOD.astype(np.complex64),
    "text": GOOD.astype(str),
    "objects": GOOD.astype(object),
}


class Ways:
    """Every function that takes a stream and looks at its values."""

    def __init__(self, folder: Any) -> None:
        weights = folder / "base.pth"
        sz.BaseModel(sz.BaseModelConfig()).build_network().save_network(weights)
        cfg = {"save_folder": folder / "runs", "metric_names": ["psnr"]}
        one = Pipeline(PipelineConfig(**cfg, exp_name="one"), "tfp", "base")
        two = EnsemblePipeline(
            EnsemblePipelineConfig(**cfg, exp_name="two"), ["tfp", "tfi"], "base"
        )
        model = sz.build_model_name("base").build_network()
        self.folders = [pipeline.folder.path / "infer_from_spk" for pipeline in (one, two)]
        self.calls: dict[str, Callable[[Any], object]] = {
            "image_at": model.image_at,
            "pipeline": one.infer_from_spk,
            "ensemble": two.infer_from_spk,
            "reconstruct base": lambda s: sz.reconstruct(s, method="base", ckpt_path=weights),
            "video base": lambda s: list(sz.reconstruct_video(s, "base", ckpt_path=weights)),
            "video tfstp": lambda s: list(sz.reconstruct_video(s, "tfstp")),
            "tfstp": classical.tfstp,
            "tfstp_video": classical.tfstp_video,
        }
        for name in METHODS:
            whole = getattr(classical, f"{name}_video")
            self.calls |= {
                f"reconstruct {name}": lambda s, name=name: sz.reconstruct(s, method=name),
                f"video {name}": lambda s, name=name: list(sz.reconstruct_video(s, name)),
                f"{name}_video": whole,
            }

    def refuse(self, stream: Any, error: type[Exception], message: str, *but: str) -> None:
        for name, call in self.calls.items():
            if name in but:
                continue
            try:
                call(stream)
            except error as raised:
                assert message in str(raised), name
            else:
                pytest.fail(f"{name} takes it")
        assert not any(folder.exists() for folder in self.folders)


@pytest.fixture(scope="module")
def ways(tmp_path_factory) -> Ways:
    return Ways(tmp_path_factory.mktemp("ways"))


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("name", VALUES)
def test_values_other_than_0_and_1(ways, name, kind):
    ways.refuse(kind(VALUES[name]), ValueError, "spikes must be 0 or 1")


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("name", AXES)
def test_other_axes(ways, name, kind):
    ways.refuse(kind(AXES[name]), ValueError, "spikes must be [T, H, W]")
    batches = ("pipeline", "ensemble")
    ways.refuse(kind(GOOD[None]), ValueError, "spikes must be [T, H, W], got [1, ", *batches)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("name", EMPTY)
def test_streams_without_spikes(ways, name, kind):
    ways.refuse(kind(EMPTY[name]), ValueError, "spikes are empty: [")
    for name in ("pipeline", "ensemble"):
        with pytest.raises(ValueError, match=r"spikes are empty: \[0, 61"):
            ways.calls[name](kind(GOOD[None][:0]))


@pytest.mark.parametrize("name", TYPES)
def test_what_is_no_stream(ways, name):
    ways.refuse(TYPES[name], TypeError, "spikes must be ")


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_streams_shorter_than_the_window(ways, kind):
    any_length = {name for name in ways.calls if "gtfp" in name or "tfstp" in name}
    ways.refuse(kind(GOOD[:40]), ValueError, "40", *any_length, "image_at", "reconstruct base")
    ways.refuse(kind(GOOD[:7]), ValueError, "7", *any_length, "image_at", *reading_one(ways))


def reading_one(ways: Ways) -> list[str]:
    """Their message names the last frame instead of the number of frames."""
    return [name for name in ways.calls if name.startswith("reconstruct ")]


@pytest.mark.parametrize("method", ["tfp", "tfi", "isi", "base"])
def test_a_short_stream_names_the_frames_that_are_missing(ways, method):
    with pytest.raises(ValueError, match=r"needs frames -17\.\.23, but the stream has frames 0..6"):
        ways.calls[f"reconstruct {method}"](GOOD[:7])


class Lazy:
    """A stream that reads what is asked for, as files of arrays do."""

    shape, ndim, dtype = GOOD.shape, 3, GOOD.dtype

    def __init__(self, stream: np.ndarray) -> None:
        self.stream = stream

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.stream[index]


STREAMS = {
    "bool": GOOD.astype(bool),
    "float16": GOOD.astype("f2"),
    "float64": GOOD.astype("f8"),
    "uint16": GOOD.astype("u2"),
    "int64": GOOD.astype("i8"),
    "other byte order": GOOD.astype(">f4"),
    "backwards": GOOD[::-1].copy()[::-1],
    "strided": np.repeat(GOOD, 2, axis=2)[:, :, ::2],
    "read-only": np.frombuffer(GOOD.tobytes(), np.uint8).reshape(GOOD.shape),
    "tensor": torch.from_numpy(GOOD),
    "with gradient": torch.from_numpy(GOOD).float().requires_grad_(),
    "read in parts": Lazy(GOOD),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_kind_of_0_and_1_gives_the_same_images(name):
    for method in METHODS:
        expected = sz.reconstruct(GOOD, method=method)
        torch.testing.assert_close(sz.reconstruct(STREAMS[name], method=method), expected)
        for image, whole in zip(
            sz.reconstruct_video(STREAMS[name], method, step=9),
            sz.reconstruct_video(GOOD, method, step=9),
            strict=True,
        ):
            assert torch.equal(image, whole)


def test_values_of_a_stream_that_is_read_in_parts_are_looked_at():
    with pytest.raises(ValueError, match="spikes must be 0 or 1"):
        classical.tfp_video(Lazy(VALUES["two"]))


BATCHES = {
    "array": (GOOD[None], TypeError, "a model takes spikes as a tensor, got ndarray"),
    "list": ([[GOOD.tolist()]], TypeError, "spikes must be a tensor"),
    "complex": (torch.zeros(1, T, H, W, dtype=torch.complex64), TypeError, "real numbers"),
    "axes": (torch.zeros(T, H, W), ValueError, r"\[B, T, H, W\], got \[61, 4, 8\]; .*spikes\[None"),
    "no rows": (torch.zeros(1, T, 0, W), ValueError, "empty"),
    "short": (torch.zeros(1, 40, H, W), ValueError, "40"),
}


@pytest.mark.parametrize("method", ["base", "tfp", "tfi", "isi", "wgse", "ssir", "stir"])
@pytest.mark.parametrize("name", BATCHES)
def test_a_model_refuses_what_is_no_batch(method, name):
    batch, error, message = BATCHES[name]
    model = sz.build_model_name(method)
    model.device = torch.device("cpu")
    model.cfg.load_state = False
    with pytest.raises(error, match=message):
        model.build_network("debug")(batch)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8, torch.bool])
def test_a_network_takes_spikes_of_every_type(dtype):
    model = sz.build_model_name("base")
    model.device = torch.device("cpu")
    model.build_network("debug")
    batch = torch.from_numpy(GOOD)[None]
    assert torch.equal(model(batch.to(dtype)), model(batch.float()))


@pytest.mark.parametrize("method", METHODS)
def test_single_images_take_tensors(method):
    function = getattr(classical, method)
    with pytest.raises(TypeError, match="spikes must be a tensor here, got ndarray"):
        function(GOOD)
    with pytest.raises(TypeError, match=r"key_frame must be a whole number, got 2\.5"):
        function(torch.from_numpy(GOOD), 2.5)
    with pytest.raises(TypeError, match="window must be a whole number, got '9'"):
        function(torch.from_numpy(GOOD), window="9")


OPTIONS = {
    "window": (9.0, TypeError, "window must be a whole number, got 9.0"),
    "rate": ("fast", TypeError, "rate must be a positive number, got 'fast'"),
    "method": (sz.TFPConfig(), TypeError, "a method is chosen by its name, such as 'tfp'"),
    "tile": ((2, 3.5), TypeError, "tile must be"),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("call", [sz.reconstruct, sz.reconstruct_video])
def test_options_of_another_type(call, name):
    value, error, message = OPTIONS[name]
    with pytest.raises(error, match=message):
        call(GOOD, **{name: value})


@pytest.mark.parametrize("name", ["start", "stop", "step"])
def test_key_frames_are_whole_numbers(name):
    with pytest.raises(TypeError, match=rf"{name} must be a whole number, got 2\.5"):
        sz.reconstruct_video(GOOD, **{name: 2.5})
    with pytest.raises(TypeError, match=r"key_frame must be a whole number, got 2\.5"):
        sz.reconstruct(GOOD, key_frame=2.5)


def test_a_step_beyond_the_stream_gives_one_image():
    (image,) = sz.reconstruct_video(GOOD, "tfi", step=10**30)
    assert torch.equal(image, sz.reconstruct(GOOD, method="tfi", key_frame=20))
    with pytest.raises(ValueError, match=r"leave 20\.\.40"):
        sz.reconstruct_video(GOOD, "tfi", stop=10**30)
