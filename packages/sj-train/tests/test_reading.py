from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from torch.utils.data import DataLoader

from sj_train.errors import DataError
from sj_train.reading import read


class FormatError(ValueError):
    """Takes more than a text, as readers of file formats do."""

    def __init__(self, path: str, told: str) -> None:
        super().__init__(f"{path}: {told}")

    def __reduce__(self):
        return type(self), ("file", "told")


class Samples:
    """Four samples; one of them raises ``error``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index == 2 and self.error is not None:
            raise self.error
        return index


class Dying(Samples):
    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return index


def loader(data: Samples, workers: int) -> DataLoader:
    return DataLoader(data, num_workers=workers)  # pyright: ignore[reportArgumentType]


def test_batches_come_as_they_are():
    assert [int(batch) for batch in read(loader(Samples(), 0))] == [0, 1, 2, 3]


def failing(error: Exception) -> Iterator[int]:
    yield 0
    raise error


def from_worker(name: str, told: str) -> str:
    """The text that torch gives an error of a worker."""
    return f"Caught {name} in DataLoader worker process 0.\nOriginal Traceback:\n  at x\n{told}\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FormatError("a.aedat", "cut"), "a sample cannot be read: a.aedat: cut"),
        (
            FileNotFoundError(2, "No such file", "b"),
            r"a sample cannot be read: \[Errno 2\] No such",
        ),
        (EOFError(), "a sample cannot be read: EOFError"),
        (DataError("cannot read the image c"), "cannot read the image c"),
        (
            DataError(from_worker("DataError", "sj_train.errors.DataError: cannot read c")),
            "cannot read c",
        ),
        (OSError(from_worker("OSError", "OSError: d is cut")), "a sample cannot be read: d is cut"),
    ],
)
def test_a_damaged_sample_is_told_in_one_line(error, told):
    with pytest.raises(DataError, match=f"^{told}") as raised:
        list(read(failing(error)))
    assert "\n" not in str(raised.value)


def test_a_worker_tells_it_too():
    with pytest.raises(DataError, match=r"^a sample cannot be read: a.aedat: cut$"):
        list(read(loader(Samples(FormatError("a.aedat", "cut")), 1)))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        IndexError("a bug"),
        RuntimeError(from_worker("RuntimeError", "RuntimeError: a bug")),
    ],
)
def test_bugs_of_a_data_set_keep_their_traceback(error):
    with pytest.raises(type(error), match="a bug"):
        list(read(failing(error)))


def test_a_worker_that_dies_is_told():
    with pytest.raises(DataError, match=r"DataLoader worker .* memory; lower --workers"):
        list(read(loader(Dying(), 1)))
