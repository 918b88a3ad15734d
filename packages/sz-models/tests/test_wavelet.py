from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sz_models.wavelet import WaveletAnalysis, WaveletSynthesis


def signals(length: int, pixels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(length)
    return torch.rand(2, 1, length, pixels, generator=generator, dtype=torch.float64)


@given(st.integers(1, 70), st.integers(1, 6))
def test_synthesis_undoes_analysis(length, levels):
    x = signals(length)
    low, high = WaveletAnalysis(levels).double()(x)
    restored = WaveletSynthesis().double()(low, high)
    assert restored.shape[2] == length + length % 2
    torch.testing.assert_close(restored[:, :, :length], x, rtol=0, atol=1e-6)
    torch.testing.assert_close(restored[:, :, length:], torch.zeros_like(x[:, :, : length % 2]))


def test_lengths_of_the_bands_of_41_frames():
    low, high = WaveletAnalysis(5)(signals(41).float())
    assert [band.shape[2] for band in high] == [28, 21, 18, 16, 15]
    assert low.shape[2] == 15


@pytest.mark.parametrize("length", [16, 40])
def test_energy_is_kept(length):
    x = signals(length)
    low, high = WaveletAnalysis(3).double()(x)
    energy = low.square().sum() + sum(band.square().sum() for band in high)
    torch.testing.assert_close(energy, x.square().sum(), rtol=1e-6, atol=0)


def test_a_constant_has_no_detail_away_from_the_ends():
    _, (detail,) = WaveletAnalysis(1)(torch.ones(1, 1, 64, 1))
    torch.testing.assert_close(detail[:, :, 7:-7], torch.zeros(1, 1, 25, 1), rtol=0, atol=1e-6)


def test_pixels_do_not_mix():
    analysis = WaveletAnalysis(2)
    x = signals(20, pixels=4).float()
    low, high = analysis(x)
    for i in range(4):
        low_i, high_i = analysis(x[..., i : i + 1])
        torch.testing.assert_close(low[..., i : i + 1], low_i)
        torch.testing.assert_close(high[0][..., i : i + 1], high_i[0])


def test_gradients_are_those_of_the_transform():
    analysis, synthesis = WaveletAnalysis(2).double(), WaveletSynthesis().double()
    x = signals(9, pixels=1).requires_grad_()
    torch.autograd.gradcheck(lambda x: synthesis(*analysis(x)), (x,))


def test_filters_are_saved_but_not_trained():
    assert list(WaveletAnalysis(1).state_dict()) == ["h0", "h1"]
    assert list(WaveletSynthesis().state_dict()) == ["g0", "g1"]
    assert not list(WaveletAnalysis(1).parameters())
