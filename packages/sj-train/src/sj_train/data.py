"""Labelled images in folders, and CIFAR-10.

<root>/<class name>/<any depth>/<image>
"""

from __future__ import annotations

import codecs
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from .errors import DataError, DataNotFoundError
from .extras import require

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CIFAR10", "ImageFolder"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
CIFAR10_CLASSES = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """Images below one folder per class; classes are numbered in alphabetical order.

    Args:
        root: folder of the class folders.
        transform: from a Pillow RGB image to a tensor.

    Attributes:
        classes: class names.
        samples: (path, class number) of every image.

    Raises:
        DataNotFoundError: ``root`` is missing or has no class folder.
        DataError: a class folder has no image.
    """

    def __init__(self, root: str | Path, transform: Callable[[Image.Image], Tensor]) -> None:
        self.root = Path(root)
        self.transform = transform
        if not self.root.is_dir():
            raise DataNotFoundError(
                f"{self.root} does not exist; images are expected as {self.root}/<class>/<image>"
            )
        self.classes = sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())
        if not self.classes:
            raise DataNotFoundError(
                f"{self.root} has no class folders; images are expected as "
                f"{self.root}/<class>/<image>"
            )
        self.samples: list[tuple[str, int]] = []
        for number, name in enumerate(self.classes):
            images = _images_below(self.root / name)
            if not images:
                raise DataError(f"{self.root / name} holds no image ({', '.join(EXTENSIONS)})")
            self.samples += [(path, number) for path in images]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        pillow = require("PIL.Image", "images")
        try:
            with pillow.open(path) as image:
                rgb = image.convert("RGB")
        except OSError as error:
            raise DataError(f"cannot read the image {path}; replace or remove it") from error
        return self.transform(rgb), label


def _images_below(folder: Path) -> list[str]:
    found = []
    for parent, _, names in os.walk(folder, followlinks=True):
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(EXTENSIONS)]
    return sorted(found)


class CIFAR10(Dataset[tuple[Tensor, int]]):
    """The ten-class set of 32 x 32 images, from the python files ``cifar-10-batches-py``.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    classes = CIFAR10_CLASSES

    def __init__(
        self, root: str | Path, transform: Callable[[Image.Image], Tensor], *, train: bool
    ) -> None:
        self.transform = transform
        names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
        batches = [_read_batch(Path(root) / "cifar-10-batches-py" / name) for name in names]
        self.images = torch.cat([images for images, _ in batches])
        self.labels = [label for _, labels in batches for label in labels]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images[index].permute(1, 2, 0).contiguous()
        pillow = require("PIL.Image", "images")
        image = pillow.frombytes("RGB", (32, 32), bytes(pixels.flatten().tolist()))
        return self.transform(image), self.labels[index]


def _read_batch(path: Path) -> tuple[Tensor, list[int]]:
    """Images ``[N, 3, 32, 32]`` uint8 and labels of one file."""
    if not path.is_file():
        raise DataNotFoundError(f"{path} does not exist; unpack cifar-10-python.tar.gz there")
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="bytes").load()
        raw, labels = content[b"data"].raw, [int(label) for label in content[b"labels"]]
        images = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(-1, 3, 32, 32)
    except (pickle.UnpicklingError, EOFError, KeyError, AttributeError, RuntimeError) as error:
        raise DataError(f"{path} is damaged or no CIFAR-10 batch") from error
    if len(images) != len(labels):
        raise DataError(f"{path} has {len(images)} images and {len(labels)} labels")
    return images, labels


class _RawArray:
    """Takes the place of a numpy array: keeps its bytes."""

    def __init__(self, *args: Any) -> None:
        self.raw = b""

    def __setstate__(self, state: Any) -> None:
        if len(state) == 5 and isinstance(state[4], bytes):
            self.raw = state[4]


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text and array bytes; refuses everything that would run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return _RawArray
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")
