from __future__ import annotations

import numpy as np
import pytest

from sz_models import METRICS, compute_metric, metrics, mse, psnr, ssim
from sz_models.metrics import check_metric, needs_truth, register_metric


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((17, 23)), rng.random((17, 23))


@pytest.fixture
def own_name(monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", list(METRICS))
    monkeypatch.setattr(metrics, "_table", dict(metrics._table))
    return "largest"


def test_documented_names():
    documented = "psnr ssim lpips mse niqe brisque piqe liqe_mix clipiqa"
    assert " ".join(METRICS) == documented
    assert [name for name in METRICS if needs_truth(name)] == ["psnr", "ssim", "lpips", "mse"]


@pytest.mark.parametrize("function", [psnr, ssim, mse])
@pytest.mark.parametrize("zoo_compat", [False, True])
def test_a_name_calls_its_function(function, zoo_compat):
    expected = function(*images(), zoo_compat=zoo_compat)
    assert compute_metric(function.__name__, *images(), zoo_compat=zoo_compat) == expected
    check_metric(function.__name__)


@pytest.mark.parametrize("call", [compute_metric, lambda name, *_: check_metric(name)])
def test_an_unknown_metric_is_named(call):
    with pytest.raises(ValueError, match=r"unknown metric 'pnsr'; did you mean 'psnr'"):
        call("pnsr", *images())


@pytest.mark.parametrize("name", ["psnr", "lpips"])
def test_a_missing_true_image_is_told(name):
    with pytest.raises(ValueError, match=f"'{name}' compares with a true image"):
        compute_metric(name, images()[0])


def test_own_metrics(own_name):
    register_metric(own_name, lambda recon: recon.max(), needs_truth=False)
    recon, truth = images()
    assert compute_metric(own_name, recon, truth) == compute_metric(own_name, recon) == recon.max()
    assert own_name in metrics.METRICS
    with pytest.raises(ValueError, match="pass replace=True"):
        register_metric(own_name, mse)
    register_metric(own_name, lambda recon, truth: truth.min(), replace=True)
    assert compute_metric(own_name, recon, truth) == truth.min()
    check_metric(own_name)
    assert metrics.METRICS.count(own_name) == 1


def test_a_metric_must_be_a_function(own_name):
    with pytest.raises(TypeError, match="function of images"):
        register_metric(own_name, 1)  # pyright: ignore[reportArgumentType]
