from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_train.errors import ClassCountError, DataError
from sj_train.mix import MixCollate, cutmix, eventmix, mixup

N, K = 4, 3


def batch(shape: tuple[int, ...]) -> torch.Tensor:
    """Each sample is filled with its own number."""
    return torch.arange(float(N)).view(N, *[1] * len(shape)).expand(N, *shape).clone()


def weights() -> torch.Tensor:
    return torch.eye(K)[torch.arange(N) % K]


@pytest.mark.parametrize("shape", [(3, 6, 8), (5, 2, 6, 8)], ids=["images", "event frames"])
def test_mixup_blends_with_the_sample_before(shape):
    x, target = mixup(batch(shape), weights(), 0.75)
    torch.testing.assert_close(x[2], torch.full(shape, 0.75 * 2 + 0.25 * 1))
    torch.testing.assert_close(target[2], 0.75 * weights()[2] + 0.25 * weights()[1])


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.sampled_from([(3, 6, 8), (5, 2, 6, 8)]), st.integers(0, 1000))
def test_cutmix_weights_are_the_pasted_area(lam, shape, seed):
    torch.manual_seed(seed)
    x, target = cutmix(batch(shape), weights(), lam)
    pasted = (x[1] == 0).float().mean()
    torch.testing.assert_close(target[1, 1], 1 - pasted)
    torch.testing.assert_close(target.sum(1), torch.ones(N))
    # The same box in every time step and channel.
    flat = (x[1] == 0).reshape(-1, *shape[-2:])
    assert bool((flat == flat[0]).all())


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.sampled_from([(3, 6, 8), (5, 2, 6, 8)]), st.integers(0, 1000))
def test_eventmix_weights_are_the_shares_of_events(lam, shape, seed):
    torch.manual_seed(seed)
    x, target = eventmix(batch(shape) + 1, weights(), lam)
    own, other = (x[1] == 2).float().sum() * 2, (x[1] == 1).float().sum()
    torch.testing.assert_close(target[1, 1], own / (own + other))
    torch.testing.assert_close(target.sum(1), torch.ones(N))
    kept = x[1] == 2
    assert bool((kept == kept.select(-3, 0).unsqueeze(-3)).all())  # all channels alike
    assert kept.float().mean() == pytest.approx(lam, abs=0.02)


def test_eventmix_masks_change_with_time():
    torch.manual_seed(0)
    x, _ = eventmix(batch((8, 2, 12, 12)), weights(), 0.5)
    kept = x[1] == 1
    assert any(bool((kept[t] != kept[0]).any()) for t in range(1, 8))


def test_eventmix_of_empty_samples_counts_cells():
    _, target = eventmix(torch.zeros(4, 2, 1, 4, 4), weights(), 0.25)
    torch.testing.assert_close(target[1], 0.25 * weights()[1] + 0.75 * weights()[0])


def test_negative_parameters_are_refused():
    with pytest.raises(ValueError, match="eventmix_alpha must be at least 0, got -1"):
        MixCollate(K, eventmix_alpha=-1)


def test_collate_gives_class_weights():
    samples = [(torch.rand(2, 3, 6, 6), label) for label in (0, 2, 1)]
    x, target = MixCollate(K, mixup_alpha=0.2, cutmix_alpha=1.0)(samples)
    assert x.shape == (3, 2, 3, 6, 6)
    assert target.shape == (3, K)
    torch.testing.assert_close(target.sum(1), torch.ones(3))


def test_both_methods_are_used():
    torch.manual_seed(0)
    samples = [(torch.full((1, 8, 8), float(i)), i) for i in range(3)]
    collate = MixCollate(K, mixup_alpha=1.0, cutmix_alpha=1.0)
    values = [len(collate(samples)[0][1].unique()) for _ in range(20)]
    assert min(values) == 1 and max(values) == 2  # blended evenly, or a box pasted


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ClassCountError, match="class 5, but 3"):
        MixCollate(K, mixup_alpha=0.2)([(torch.rand(1, 4, 4), 5)])


def test_integer_frames_are_refused():
    with pytest.raises(ValueError, match=r"floating-point batch .* got torch.uint8"):
        mixup(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), weights(), 0.5)


def test_labels_that_are_no_classes_are_refused():
    x = torch.rand(1, 2, 2)
    collate = MixCollate(3, mixup_alpha=1.0)
    with pytest.raises(ClassCountError, match="the data hold class -1"):
        collate([(x, -1), (x, 0)])
    with pytest.raises(DataError, match=r"one class per sample, got labels torch.int64 \(2, 1\)"):
        collate([(x, torch.tensor([1])), (x, torch.tensor([0]))])
