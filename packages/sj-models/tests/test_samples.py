from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.samples import as_batch, batch_size, stack_samples

N, K = 3, 5
X = torch.rand(N, 3, 8, 8)


def sample(label: object = 1, **fields: object) -> SimpleNamespace:
    return SimpleNamespace(gt_label=label, **fields)


def test_a_batch_stays_what_it_is() -> None:
    data = {"inputs": X, "label": torch.tensor([0, 1, 2]), "meta": {"file": ["a", "b", "c"]}}
    batch = as_batch(data)
    assert batch == data and batch is not data
    assert batch["inputs"] is X


@pytest.mark.parametrize(
    "samples",
    [
        [sample(0), sample(torch.tensor([1])), sample([2])],
        [{"gt_label": 0}, {"gt_label": 1}, {"gt_label": 2}],
        [0, 1, 2],
        torch.tensor([0, 1, 2]),
        torch.tensor([[0], [1], [2]]),
        {"label": [0, 1, 2]},
        {"label": [0, 1, 2], "inputs": X},
    ],
    ids=["objects", "mappings", "numbers", "tensor", "column", "batch", "whole batch"],
)
def test_labels_in_any_form(samples: object) -> None:
    expected = torch.tensor([0, 1, 2])
    for batch in (as_batch(X, samples), as_batch({"inputs": X, "data_samples": samples})):
        assert batch["label"].dtype == torch.int64
        assert torch.equal(batch["label"], expected)
    assert torch.equal(as_batch((X, samples))["label"], expected)


def test_soft_labels_are_scores() -> None:
    score = torch.rand(N, K)
    assert torch.equal(as_batch((X, score))["score"], score)
    listed = [SimpleNamespace(gt_score=row.tolist()) for row in score]
    torch.testing.assert_close(as_batch(X, listed)["score"], score)


def test_masks_and_what_no_computation_needs() -> None:
    listed = [
        SimpleNamespace(mask=torch.eye(4), metainfo={"file": f"{i}.png"}, sample_idx=i)
        for i in range(N)
    ]
    batch = stack_samples(listed)
    assert batch["mask"].shape == (N, 4, 4)
    assert batch["meta"] == {"file": ["0.png", "1.png", "2.png"], "sample_idx": [0, 1, 2]}


def test_images_of_a_list_are_stacked_and_views_stay_apart() -> None:
    assert as_batch(list(X))["inputs"].shape == X.shape
    views = as_batch([X, X + 1])["inputs"]
    assert isinstance(views, list) and torch.equal(views[1], X + 1)


def test_sequences_have_the_batch_second() -> None:
    assert as_batch((torch.rand(4, N, 2, 8, 8), [0, 1, 2]))["label"].shape == (N,)


@given(n=st.integers(1, 6), steps=st.integers(0, 3))
def test_the_batch_size_is_that_of_the_labels(n: int, steps: int) -> None:
    x = torch.zeros(*([steps] if steps else []), n, 1, 2, 2)
    batch = as_batch((x, torch.zeros(n, dtype=torch.int64)))
    assert batch_size(batch) == n
    assert batch_size({"inputs": x}) is None


@pytest.mark.parametrize(
    ("data", "samples", "error", "text"),
    [
        ({"input": X}, None, ValueError, "'input'.*did you mean 'inputs'"),
        ({"inputs": X, "zzz": 1}, None, ValueError, "unknown key 'zzz' in a batch \\(a batch has"),
        ({"label": [1]}, None, ValueError, "needs inputs; it has label"),
        ({}, None, ValueError, "it has nothing"),
        ("x.png", None, TypeError, "inputs must be a tensor or a list"),
        ((X, [0, 1]), None, ValueError, "label is for 2 samples.*\\(3, 3, 8, 8\\)"),
        ((X, torch.rand(N)), None, ValueError, "label must hold class indices.*float32"),
        ({"inputs": X, "score": torch.rand(N)}, None, ValueError, "score must be a tensor"),
        ({"inputs": X, "score": [1.0]}, None, ValueError, r"\[N, K\], got list"),
        ((X, [0, 1, 2]), [0], ValueError, "twice"),
        ({"inputs": X, "data_samples": [0, 1, 2]}, [0], ValueError, "twice"),
        ({"inputs": X, "label": [0, 1, 2]}, [0, 1, 2], ValueError, "label was given twice"),
        (X, 3, TypeError, "labels must be a mapping.*int"),
        ([X[0], X[0, :, :4]], None, ValueError, "must have one shape"),
        (X, [sample(), SimpleNamespace(gt_label=None)], ValueError, "1 of 2 samples have gt_label"),
        (X, [object()], ValueError, "no sample of type object has gt_label, gt_score, mask"),
        (X, [sample([0, 1])] * N, ValueError, "one class per sample"),
        (
            X, [SimpleNamespace(gt_score=[0.5] * k) for k in (2, 3, 2)],
            ValueError, "gt_score must have one shape",
        ),
    ],
)  # fmt: skip
def test_what_is_no_batch(data: object, samples: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        as_batch(data, samples)
