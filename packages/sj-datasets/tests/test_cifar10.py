from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.formats.cifar10 import read_cifar10, write_cifar10


@settings(max_examples=20)
@given(n=st.integers(0, 5), seed=st.integers(0, 99))
def test_reading_gives_back_what_was_written(tmp_path_factory, n, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, n)
    path = tmp_path_factory.getbasetemp() / "round_trip.bin"
    write_cifar10(path, images, labels)
    images_read, labels_read = read_cifar10(path)
    np.testing.assert_array_equal(images_read, images)
    np.testing.assert_array_equal(labels_read, labels)


def test_colours_lie_one_after_the_other(tmp_path):
    red = np.full(1024, 10, np.uint8)
    (tmp_path / "a").write_bytes(bytes([7]) + bytes(red) + bytes(red + 10) + bytes(red + 20))
    images, labels = read_cifar10(tmp_path / "a")
    assert labels.tolist() == [7]
    assert images[0, 3, 5].tolist() == [10, 20, 30]


def test_damage_is_named(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(3073 + 5))
    with pytest.raises(FormatError, match="5 bytes are left") as error:
        read_cifar10(path)
    assert error.value.offset == 3073
    path.write_bytes(bytes(3073) + b"\x0a" + bytes(3072))
    with pytest.raises(FormatError, match="label 10") as error:
        read_cifar10(path)
    assert error.value.offset == 3073
    with pytest.raises(FileNotFoundError):
        read_cifar10(tmp_path / "none")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((1, 32, 32, 3)), [1], "uint8 images"),
        (np.zeros((1, 3, 32, 32), np.uint8), [1], "uint8 images"),
        (np.zeros((1, 32, 32, 3), np.uint8), [10], "labels"),
    ],
)
def test_what_does_not_fit_is_not_written(tmp_path, images, labels, message):
    with pytest.raises(ValueError, match=message):
        write_cifar10(tmp_path / "a", images, np.array(labels))
    assert not list(tmp_path.iterdir())
