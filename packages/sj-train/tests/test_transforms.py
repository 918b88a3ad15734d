from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sj_train.errors import OptionError
from sj_train.transforms import (
    IMAGENET_STATISTICS,
    EvalTransform,
    TrainTransform,
    auto_augment,
    random_erase,
)

MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET_STATISTICS)


def pixels(x: torch.Tensor) -> torch.Tensor:
    """Undo the normalisation."""
    return x * STD + MEAN


def test_evaluation_keeps_the_centre():
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 255, 0), (15, 5, 25, 15))  # green centre of 10 x 10
    x = pixels(EvalTransform(resize_size=20, crop_size=10, interpolation="nearest")(image))
    expected = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1).expand(3, 10, 10)
    torch.testing.assert_close(x, expected, atol=1e-6, rtol=0)


def test_evaluation_fills_small_images_with_black():
    x = pixels(EvalTransform(resize_size=4, crop_size=8)(Image.new("RGB", (4, 4), "white")))
    assert float(x[:, 2:6, 2:6].min()) == pytest.approx(1.0)
    assert float(x[:, 0].abs().max()) == pytest.approx(0.0, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_random_crops_have_the_asked_size(width, height, seed):
    torch.manual_seed(seed)
    transform = TrainTransform(crop_size=7, policy=None, erase=0.0)
    x = transform(Image.new("L", (width, height), 128))
    assert x.shape == (3, 7, 7)
    torch.testing.assert_close(pixels(x), torch.full((3, 7, 7), 128 / 255))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_erased_boxes_cover_the_stated_area(seed):
    torch.manual_seed(seed)
    erased = random_erase(torch.ones(3, 40, 40))
    assert 0.01 < float((erased == 0).float().mean()) < 0.35


@pytest.mark.parametrize("policy", ["ta_wide", "ra", "imagenet", "cifar10", "svhn"])
def test_automatic_augmentation_repeats_by_seed(policy):
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    augment = auto_augment(policy)
    results = []
    for _ in range(2):
        torch.manual_seed(11)
        results.append(torch.stack([augment(x) for _ in range(4)]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assert bool((results[0][0] != x).any() or (results[0][1] != x).any())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"policy": "augmix"}, r"--auto-augment: unknown policy 'augmix'; known are ta_wide, ra"),
        ({"interpolation": "cubic"}, r"--interpolation: unknown method 'cubic'.*bicubic"),
    ],
)
def test_unknown_names_list_the_known_ones(options, text):
    with pytest.raises(OptionError, match=text):
        TrainTransform(crop_size=4, **options)
