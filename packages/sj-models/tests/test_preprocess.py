from __future__ import annotations

import pytest
import torch

from sj_models.batch_augments import Mixup, RandomBatchAugment
from sj_models.build import build
from sj_models.preprocess import (
    ClsDataPreprocessor,
    SelfSupDataPreprocessor,
    TwoNormDataPreprocessor,
)

MEAN, STD = [10.0, 20.0, 30.0], [1.0, 2.0, 4.0]


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (5, 2, 3, 4, 4)], ids=["images", "sequence"])
def test_normalisation_is_per_channel(shape: tuple[int, ...]) -> None:
    x = pixels(*shape)
    out = ClsDataPreprocessor(MEAN, STD)(x)["inputs"]
    for c in range(3):
        channel = (x.float()[..., c, :, :] - MEAN[c]) / STD[c]
        torch.testing.assert_close(out[..., c, :, :], channel)


def test_channels_turn_around_before_they_are_normalised() -> None:
    x = pixels(2, 3, 4, 4)
    turned = ClsDataPreprocessor(MEAN, STD, to_rgb=True)(x)["inputs"]
    torch.testing.assert_close(turned, ClsDataPreprocessor(MEAN, STD)(x.flip(1))["inputs"])


def test_padding_goes_right_and_down_after_normalisation() -> None:
    made = ClsDataPreprocessor([1.0], [2.0], pad_size_divisor=8, pad_value=7)
    out = made(pixels(2, 1, 6, 9))["inputs"]
    assert out.shape == (2, 1, 8, 16)
    assert bool((out[..., 6:, :] == 7).all()) and bool((out[..., 9:] == 7).all())
    torch.testing.assert_close(out[..., :6, :9], (pixels(2, 1, 6, 9).float() - 1) / 2)


def test_nothing_to_do_leaves_floats_as_they_are() -> None:
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(ClsDataPreprocessor()(x)["inputs"], x)
    features = torch.rand(2, 7)  # of a retriever without an encoder
    assert torch.equal(ClsDataPreprocessor(MEAN, STD)(features)["inputs"], features)


def test_labels_become_scores() -> None:
    made = ClsDataPreprocessor(to_onehot=True, num_classes=4)
    batch = made((pixels(2, 3, 4, 4), [3, 0]))
    assert batch["score"].tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]
    assert batch["label"].tolist() == [3, 0]


def test_batches_are_mixed_in_training_only() -> None:
    made = ClsDataPreprocessor(num_classes=4, batch_augments=Mixup())
    data = (pixels(2, 3, 4, 4), [3, 0])
    torch.manual_seed(0)
    assert set(made(data)) == {"inputs", "label"}
    batch = made(data, training=True)
    assert set(batch) == {"inputs", "score"}
    torch.testing.assert_close(batch["score"].sum(1), torch.ones(2))
    scored = made((pixels(2, 3, 4, 4), torch.rand(2, 9)), training=True)
    assert scored["score"].shape == (2, 9)  # scores need no number of classes


def test_augmentation_from_a_config() -> None:
    cfg = {"type": "ClsDataPreprocessor", "batch_augments": {"augments": {"type": "Mixup"}}}
    assert isinstance(build(cfg).batch_augments, RandomBatchAugment)


def test_statistics_are_no_part_of_a_checkpoint() -> None:
    made = TwoNormDataPreprocessor(MEAN, STD, [1.0], [2.0])
    assert not made.state_dict()
    assert {name for name, _ in made.named_buffers()} >= {"mean", "std", "second_mean"}


def test_views_are_treated_alike_or_each_by_its_own_statistics() -> None:
    x, y = pixels(2, 3, 4, 4), pixels(2, 3, 6, 6)
    alike = SelfSupDataPreprocessor(MEAN, STD)
    for got, view in zip(alike([x, y])["inputs"], (x, y), strict=True):
        torch.testing.assert_close(got, alike(view)["inputs"])
    made = TwoNormDataPreprocessor(MEAN, STD, [127.5], [127.5])
    first, second = made({"inputs": [x, y], "mask": torch.zeros(2, 2, 2)})["inputs"]
    torch.testing.assert_close(first, alike(x)["inputs"])
    torch.testing.assert_close(second, y.float() / 127.5 - 1)


def test_data_follow_the_model() -> None:
    made = SelfSupDataPreprocessor().to("meta")
    batch = made({"inputs": pixels(2, 3, 4, 4), "mask": torch.zeros(2, 2, 2)})
    assert batch["inputs"].is_meta and batch["mask"].is_meta


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ClsDataPreprocessor(mean=MEAN), ValueError, "mean and std come together"),
        (lambda: ClsDataPreprocessor([], []), ValueError, "one number per channel"),
        (lambda: ClsDataPreprocessor(MEAN, [1, 0, 1]), ValueError, "std must be positive"),
        (lambda: ClsDataPreprocessor(pad_size_divisor=0), ValueError, "at least 1"),
        (lambda: ClsDataPreprocessor(to_onehot=True), ValueError, "needs num_classes"),
        (lambda: ClsDataPreprocessor(MEAN, STD)(pixels(2, 2, 4, 4)), ValueError, "has 3 channels"),
        (lambda: ClsDataPreprocessor(to_rgb=True)(pixels(2, 2, 4, 4)), ValueError, "3 channels"),
        (lambda: ClsDataPreprocessor()([pixels(1, 3, 4, 4)] * 2), TypeError, "one view"),
        (
            lambda: ClsDataPreprocessor(to_onehot=True, num_classes=2)((pixels(1, 3, 4, 4), [2])),
            ValueError, r"in \[0, 2\), got 2 to 2",
        ),
        (
            lambda: ClsDataPreprocessor(batch_augments=Mixup())((pixels(1, 3, 4, 4), [2]), True),
            ValueError, "give num_classes",
        ),
        (
            lambda: ClsDataPreprocessor(batch_augments=Mixup())(pixels(1, 3, 4, 4), True),
            ValueError, "needs a label or a score",
        ),
        (lambda: TwoNormDataPreprocessor(MEAN, STD), ValueError, "needs second_mean"),
        (
            lambda: TwoNormDataPreprocessor(MEAN, STD, MEAN, STD)(pixels(1, 3, 4, 4)),
            ValueError, "two views, got one",
        ),
        (
            lambda: TwoNormDataPreprocessor(MEAN, STD, MEAN, STD)([pixels(1, 3, 4, 4)] * 3),
            ValueError, "two views, got 3 views",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(make: object, error: type[Exception], text: str) -> None:
    assert callable(make)
    with pytest.raises(error, match=text):
        make()
