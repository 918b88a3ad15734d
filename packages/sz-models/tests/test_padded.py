from __future__ import annotations

import pytest
import torch

from sz_models import BaseModelConfig
from sz_models.models.padded import PaddedModel, repeat_last


class Model(PaddedModel):
    size_multiple = 4


@pytest.mark.parametrize(
    ("size", "n", "expected"),
    [
        (5, 0, [0, 1, 2, 3, 4]),
        (5, 2, [0, 1, 2, 3, 4, 3, 4]),
        (3, 3, [0, 1, 2, 0, 1, 2]),
        (2, 3, [0, 1, 1, 0, 1]),
        (1, 3, [0, 0, 0, 0]),
    ],
)
def test_the_last_entries_come_again_in_their_order(size, n, expected):
    x = torch.arange(size, dtype=torch.uint8).view(1, 1, size, 1)
    assert repeat_last(x, n, dim=-2).flatten().tolist() == expected
    assert repeat_last(x.mT, n, dim=-1).flatten().tolist() == expected


@pytest.mark.parametrize(
    ("size", "padded"), [((4, 8), (4, 8)), ((5, 8), (8, 8)), ((6, 7), (8, 8)), ((1, 1), (4, 4))]
)
def test_images_keep_their_size(size, padded):
    model = Model(BaseModelConfig(model_length=3))
    spike = torch.rand(2, 5, *size, generator=torch.Generator().manual_seed(0))
    given = model.preprocess_spike(spike)
    assert given.shape == (2, 3, *padded)
    assert torch.equal(model.postprocess_img(given), spike[:, 1:4])


def test_known_sizes_are_padded_as_published():
    model = Model(BaseModelConfig(model_length=1))
    low, high = torch.rand(1, 1, 250, 400), torch.rand(1, 1, 480, 854)
    assert torch.equal(model.preprocess_spike(low), torch.cat((low, low[:, :, -2:]), 2))
    assert torch.equal(model.preprocess_spike(high), torch.cat((high, high[..., -2:]), 3))
