from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.batch_augments import CutMix, Mixup, RandomBatchAugment
from sj_models.build import build

N, K = 4, 3
SCORE = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0]), K).float()


def images(steps: int = 0) -> torch.Tensor:
    """Each sample holds one number, so that mixtures can be read off."""
    x = torch.arange(1.0, N + 1).view(N, 1, 1, 1).expand(N, 2, 8, 6)
    return x.expand(steps, *x.shape) if steps else x


@given(alpha=st.floats(0.1, 4.0), seed=st.integers(0, 100))
def test_mixup_mixes_images_and_scores_alike(alpha: float, seed: int) -> None:
    torch.manual_seed(seed)
    one_hot = torch.eye(N)
    mixed, score = Mixup(alpha)(images(), one_hot)
    # row n of the scores says which share of which image is in image n
    expected = score @ torch.arange(1.0, N + 1)
    torch.testing.assert_close(mixed, expected.view(N, 1, 1, 1).expand_as(mixed))
    torch.testing.assert_close(score.sum(1), torch.ones(N))


@given(alpha=st.floats(0.1, 4.0), seed=st.integers(0, 100))
def test_the_share_of_a_cutmix_is_the_area_of_the_box(alpha: float, seed: int) -> None:
    torch.manual_seed(seed)
    mixed, score = CutMix(alpha)(images(), torch.eye(N))
    for n in range(N):
        shares = torch.stack([(mixed[n, 0] == value).float().mean() for value in range(1, N + 1)])
        torch.testing.assert_close(score[n], shares)


@pytest.mark.parametrize("augment", [Mixup(0.5), CutMix(0.5)], ids=repr)
def test_all_steps_of_a_sample_are_mixed_alike(augment: Mixup) -> None:
    torch.manual_seed(0)
    before = images(3)
    mixed, score = augment(before, SCORE)
    assert mixed.shape == before.shape and score.shape == SCORE.shape
    assert torch.equal(mixed, mixed[:1].expand_as(mixed))
    assert torch.equal(before, images(3))  # the data are left alone


def test_one_augmentation_is_chosen_by_its_probability() -> None:
    def first(x: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 10, q

    torch.manual_seed(0)
    augment = RandomBatchAugment([first, lambda x, q: (x + 20, q)], probs=[0.5, 0.3])
    results = [float(augment(torch.zeros(1, 1, 1, 1), SCORE[:1])[0]) for _ in range(400)]
    shares = [results.count(value) / 400 for value in (10.0, 20.0, 0.0)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.07)


def test_augmentations_come_from_configs_too() -> None:
    cfg = {"type": "RandomBatchAugment", "augments": [{"type": "Mixup", "alpha": 0.8}, CutMix()]}
    built = build(cfg)
    assert repr(built) == (
        "RandomBatchAugment([Mixup(alpha=0.8), CutMix(alpha=1.0)], probs=[0.5, 0.5])"
    )
    assert RandomBatchAugment(Mixup(), probs=1).probs == [1.0]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Mixup(0), ValueError, "Mixup: alpha must be positive"),
        (lambda: CutMix(-1), ValueError, "CutMix: alpha must be positive"),
        (lambda: Mixup()(images(), SCORE[:2]), ValueError, "same N"),
        (lambda: CutMix()(images()[0], SCORE), ValueError, r"expected inputs \[N, C, H, W\]"),
        (lambda: RandomBatchAugment([]), ValueError, "at least one"),
        (lambda: RandomBatchAugment(Mixup(), probs=[0.7, 0.2]), ValueError, "1 probabilities"),
        (lambda: RandomBatchAugment([Mixup(), Mixup()], probs=[0.7, 0.7]), ValueError, "at most 1"),
        (lambda: RandomBatchAugment(Mixup(), probs=-0.1), ValueError, "none negative"),
        (lambda: RandomBatchAugment([3]), TypeError, r"augments\[0\]"),  # type: ignore[list-item]
        (lambda: build({"type": "RandomBatchAugment", "augments": [{"type": "Mixupp"}]}), KeyError,
         r"augments\[0\].*Mixup"),
    ],
)  # fmt: skip
def test_wrong_augmentations(make: object, error: type[Exception], text: str) -> None:
    assert callable(make)
    with pytest.raises(error, match=text):
        make()
