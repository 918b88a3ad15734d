"""Position embeddings: closed forms, symmetry and resizing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.backbones.position import (
    pair,
    resize_position_embedding,
    sincos_position_embedding,
)


def test_first_half_tells_the_row_and_second_half_the_column():
    pe = sincos_position_embedding((2, 3), 8)[0]
    w = torch.tensor([1.0, 1e-2])
    for row in range(2):
        for col in range(3):
            expected = [(row * w).sin(), (row * w).cos(), (col * w).sin(), (col * w).cos()]
            torch.testing.assert_close(pe[row * 3 + col], torch.cat(expected))


@given(h=st.integers(1, 5), w=st.integers(1, 5), quarter=st.integers(1, 4))
def test_column_first_is_the_transposed_grid(h, w, quarter):
    rows = sincos_position_embedding((h, w), 4 * quarter)[0].view(h, w, -1)
    cols = sincos_position_embedding((w, h), 4 * quarter, first="col")[0].view(w, h, -1)
    assert torch.equal(rows, cols.transpose(0, 1))
    with_cls = sincos_position_embedding((h, w), 4 * quarter, cls_token=True)[0]
    assert not with_cls[0].any()
    assert torch.equal(with_cls[1:].view(h, w, -1), rows)


def test_resizing_keeps_extra_tokens_and_constants():
    pe = torch.cat((torch.rand(1, 2, 4), torch.ones(1, 9, 4)), 1)
    resized = resize_position_embedding(pe, (3, 3), (2, 5), num_extra_tokens=2)
    assert torch.equal(resized[:, :2], pe[:, :2])
    torch.testing.assert_close(resized[:, 2:], torch.ones(1, 10, 4))
    nearest = resize_position_embedding(pe[:, 2:], (3, 3), (6, 6), "nearest", 0)
    assert nearest.shape == (1, 36, 4)
    assert resize_position_embedding(pe, (3, 3), (3, 3), num_extra_tokens=2) is pe


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sincos_position_embedding(2, 6), "multiple of 4, got 6"),
        (lambda: sincos_position_embedding(2, 8, first="x"), "'row' or 'col'"),
        (lambda: pair((1, 2, 3)), r"one number or \(height, width\)"),
        (
            lambda: resize_position_embedding(torch.zeros(1, 9, 4), (3, 3), (2, 2)),
            r"\[1, 10, D\] of a 3 x 3 grid and 1 extra",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
