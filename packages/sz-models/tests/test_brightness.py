from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sz_models.brightness import finish_image, stretch


@given(st.floats(0.1, 4), st.integers(1, 3))
def test_brightness_is_divided_by_the_rate_and_clipped(rate, n):
    recon = torch.rand(n, 1, 3, 4, generator=torch.Generator().manual_seed(n)) * 2 - 0.5
    given_values = recon.clone()
    image = finish_image(recon, rate, free_brightness=False)
    torch.testing.assert_close(image, (recon / rate).clamp(0, 1))
    assert torch.equal(recon, given_values)
    rates = torch.full((n,), rate, dtype=torch.float64)
    torch.testing.assert_close(finish_image(recon, rates, free_brightness=False), image)


def test_each_image_is_stretched_by_itself():
    images = torch.stack([torch.full((1, 2, 2), 7.0), torch.arange(4.0).view(1, 2, 2) - 1])
    expected = torch.stack([torch.zeros(1, 2, 2), torch.arange(4.0).view(1, 2, 2) / 3])
    torch.testing.assert_close(stretch(images), expected)
    torch.testing.assert_close(finish_image(images, 0.6, free_brightness=True), expected)
    torch.testing.assert_close(stretch(images[1, 0]), expected[1, 0])
