from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as reference

from sz_models.fidelity import mse, psnr, ssim


def images(seed: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((17, 23))
    return np.clip(truth + noise * rng.standard_normal(truth.shape), 0, 1), truth


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), noise=st.floats(0.01, 1))
def test_values_equal_scikit_image(seed, noise):
    recon, truth = images(seed, noise)
    assert mse(recon, truth) == pytest.approx(reference.mean_squared_error(truth, recon))
    expected = reference.peak_signal_noise_ratio(truth, recon, data_range=1)
    assert psnr(recon, truth) == pytest.approx(expected)
    expected = reference.structural_similarity(
        recon,
        truth,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(recon, truth) == pytest.approx(expected, abs=1e-9)


def test_zoo_compat_maps_to_minus_one_to_one():
    recon, truth = images(0)
    a, b = 2 * recon - 1, 2 * truth - 1
    assert mse(recon, truth, zoo_compat=True) == pytest.approx(4 * mse(recon, truth))
    assert psnr(recon, truth, zoo_compat=True) == pytest.approx(psnr(recon, truth))
    expected = reference.structural_similarity(a, b, data_range=2)
    assert ssim(recon, truth, zoo_compat=True) == pytest.approx(expected, abs=1e-9)


def test_zoo_compat_psnr_is_six_decibels_low_on_bright_images():
    recon, truth = (0.5 + 0.5 * image for image in images(0))
    low = 20 * math.log10(2)
    assert psnr(recon, truth, zoo_compat=True) == pytest.approx(psnr(recon, truth) - low)


@pytest.mark.parametrize("metric", [psnr, ssim, mse])
@pytest.mark.parametrize("zoo_compat", [False, True])
def test_a_batch_is_the_mean_of_its_images(metric, zoo_compat):
    pairs = [images(seed, noise) for seed, noise in ((0, 0.1), (1, 0.5))]
    single = [metric(*pair, zoo_compat=zoo_compat) for pair in pairs]
    recon, truth = (torch.from_numpy(np.stack(side))[:, None] for side in zip(*pairs, strict=True))
    batch = metric(recon, truth, zoo_compat=zoo_compat)
    assert batch == pytest.approx(sum(single) / 2)


def test_equal_images():
    image, _ = images(0)
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1)
    assert mse(image, image) == 0


@pytest.mark.parametrize("metric", [psnr, ssim, mse])
def test_shapes_must_match(metric):
    with pytest.raises(ValueError, match="differ in shape"):
        metric(np.zeros((20, 20)), np.zeros((20, 21)))
    with pytest.raises(ValueError, match=r"\[H, W\]"):
        metric(np.zeros(20), np.zeros(20))


def test_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))
