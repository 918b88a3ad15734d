from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch

from sz_models import compute_metric, perceptual
from sz_models.metrics import check_metric

GREY = ["niqe", "brisque", "piqe"]
COLOUR = ["lpips", "liqe_mix", "clipiqa"]


class Library(types.ModuleType):
    """Stands in for pyiqa: a metric is the mean of all it gets; keeps the shapes."""

    def __init__(self) -> None:
        super().__init__("pyiqa")
        self.seen: list[tuple[str, list[list[int]]]] = []
        self.created: list[str] = []

    def create_metric(self, name: str, device: torch.device):
        assert device.type == "cpu"
        self.created.append(name)

        def metric(*images: torch.Tensor) -> torch.Tensor:
            assert all(image.dtype is torch.float32 for image in images)
            self.seen.append((name, [list(image.shape) for image in images]))
            return torch.stack([image.mean() for image in images]).mean()

        return metric


@pytest.fixture(autouse=True)
def fresh_cache():
    perceptual._metric.cache_clear()
    yield
    perceptual._metric.cache_clear()


@pytest.fixture
def library(monkeypatch) -> Library:
    monkeypatch.setitem(sys.modules, "pyiqa", module := Library())
    return module


@pytest.mark.parametrize("name", GREY)
def test_grey_images_go_in_as_one_channel(library, name):
    assert compute_metric(name, np.full((8, 12), 0.25)) == pytest.approx(0.25)
    assert library.seen == [(name, [[1, 1, 8, 12]])]


def test_lpips_gets_both_images_in_three_channels(library):
    value = compute_metric("lpips", torch.zeros(2, 1, 8, 12), torch.ones(2, 1, 8, 12))
    assert value == pytest.approx(0.5)
    assert library.seen == [("lpips", [[1, 3, 8, 12], [1, 3, 8, 12]])] * 2
    assert library.created == ["lpips"]


def test_liqe_resizes_the_short_side(library):
    compute_metric("liqe_mix", torch.rand(8, 12))
    compute_metric("clipiqa", torch.rand(8, 12))
    assert library.seen == [("liqe_mix", [[1, 3, 384, 576]]), ("clipiqa", [[1, 3, 8, 12]])]


def test_a_true_image_is_not_passed_to_metrics_without_reference(library):
    compute_metric("niqe", torch.zeros(8, 12), torch.ones(8, 12))
    assert library.seen == [("niqe", [[1, 1, 8, 12]])]


@pytest.mark.parametrize("name", GREY + COLOUR)
@pytest.mark.parametrize("bad", [1.5, -0.5, float("nan")])
def test_values_must_be_clipped(library, name, bad):
    with pytest.raises(ValueError, match=r"images in \[0, 1\]"):
        compute_metric(name, torch.full((8, 12), bad), torch.zeros(8, 12))


def test_two_channels_are_refused(library):
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        compute_metric("niqe", torch.zeros(2, 8, 12))


def test_an_image_the_metric_cannot_take(library, monkeypatch):
    def create(name, device):
        def metric(image):
            raise AssertionError("too\nsmall")

        return metric

    monkeypatch.setattr(library, "create_metric", create)
    with pytest.raises(ValueError, match="niqe of an image of 8x12 pixels: too small"):
        compute_metric("niqe", torch.zeros(8, 12))


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    for call in (lambda: check_metric("niqe"), lambda: compute_metric("niqe", torch.zeros(8, 8))):
        with pytest.raises(ImportError, match=r"pip install 'sz-models\[metrics\]'"):
            call()


def test_a_library_that_does_not_load_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "pyiqa.py").write_text("raise RuntimeError('operator nms\\ndoes not exist')\n")
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        check_metric("lpips")
    message = str(caught.value)
    assert "\n" not in message
    assert "operator nms does not exist" in message
    assert f"does not load beside torch {torch.__version__}" in message


def test_weights_that_cannot_be_fetched(library, monkeypatch):
    def create(name, device):
        raise RuntimeError("no\nroute")

    monkeypatch.setattr(library, "create_metric", create)
    with pytest.raises(OSError, match=r"could not load it \(no route\)"):
        check_metric("brisque")
