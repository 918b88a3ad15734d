from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="what is collated are tensors: needs torch")

from sj_datasets.collate import pad_sequence_collate, padded_sequence_mask  # noqa: E402

few = settings(max_examples=40)


@few
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5), tensors=st.booleans())
def test_padding_and_mask_give_the_samples_back(lengths, tensors):
    rng = np.random.default_rng(0)
    samples = [rng.random((n, 2, 3), dtype=np.float32) + 1 for n in lengths]
    batch = [(torch.from_numpy(x) if tensors else x, i) for i, x in enumerate(samples)]
    x, y, length = pad_sequence_collate(batch)
    mask = padded_sequence_mask(length)
    assert x.shape == (len(lengths), max(lengths), 2, 3)
    assert x.dtype == torch.float32
    assert y.tolist() == list(range(len(lengths)))
    assert length.tolist() == lengths
    assert mask.shape == (max(lengths), len(lengths))
    assert mask.dtype == torch.bool
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(x[i][mask[:, i]].numpy(), sample)
    assert not x.transpose(0, 1)[~mask].any()


def test_the_mask_of_the_notes():
    mask = padded_sequence_mask(torch.tensor([6, 5, 7]))
    assert mask.t().int().tolist() == [
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 1],
    ]
    assert padded_sequence_mask(torch.tensor([2]), T=4).t().tolist() == [[True, True, False, False]]
    assert padded_sequence_mask(torch.tensor([], dtype=torch.int64), T=2).shape == (2, 0)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 2], torch.tensor([1, 2])),
        ([np.int64(1), np.int64(2)], torch.tensor([1, 2])),
        ([torch.tensor(1), torch.tensor(2)], torch.tensor([1, 2])),
        ([np.array([0.0, 1.0]), np.array([1.0, 0.0])], torch.tensor([[0, 1], [1, 0]]).double()),
    ],
)
def test_labels_are_numbers_or_vectors(labels, expected):
    batch = [(np.zeros((1, 2)), label) for label in labels]
    torch.testing.assert_close(pad_sequence_collate(batch)[1], expected)


def test_it_collates_in_a_loader():
    data = [(np.full((n, 2), n, np.float32), n) for n in (3, 1, 2)]
    loader = torch.utils.data.DataLoader(data, batch_size=3, collate_fn=pad_sequence_collate)
    x, y, length = next(iter(loader))
    assert x.shape == (3, 3, 2)
    assert y.tolist() == length.tolist() == [3, 1, 2]


def test_flipped_arrays_and_integers_are_taken():
    x = np.arange(6, dtype=np.uint8).reshape(3, 2)[::-1]
    assert pad_sequence_collate([(x, 0)])[0].tolist() == [[[4, 5], [2, 3], [0, 1]]]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "at least one"),
        ([(np.zeros((2, 3)), 0), (np.zeros((2, 4)), 0)], ValueError, "sample 1"),
        ([(np.zeros((2, 3)), 0), (np.zeros((2, 3), np.float32), 0)], ValueError, "float32"),
        ([({"t": np.zeros(2)}, 0)], TypeError, "dict of events"),
        ([(np.float32(3), 0)], TypeError, "single number"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch, error, message):
    with pytest.raises(error, match=message):
        pad_sequence_collate(batch)


@pytest.mark.parametrize("lengths", [torch.zeros(2, 2), torch.zeros(0)])
def test_lengths_must_be_a_row(lengths):
    with pytest.raises(ValueError, match="sequence_len"):
        padded_sequence_mask(lengths)


def test_without_torch_the_error_names_the_extra():
    code = "import sys; sys.modules['torch'] = None; import sj_datasets.collate"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'sj-datasets[torch]'" in failed.stderr
