from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_train.errors import ClassCountError
from sj_train.mix import MixCollate, cutmix, mixup

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
