"""Images without time: MNIST, Fashion-MNIST, CIFAR-10, from the published files.

    root/MNIST/raw/train-images-idx3-ubyte[.gz], ...      likewise FashionMNIST
    root/cifar-10-batches-bin/data_batch_1.bin, ...       the binary version

The files may also lie in ``root`` itself.
"""

from __future__ import annotations

import abc
import copy
import operator
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ._fake_images import fake_digits
from .errors import FormatError
from .fake import settle_fake
from .formats.cifar10 import read_cifar10, write_cifar10
from .formats.idx import read_idx, write_idx

__all__ = ["CIFAR10", "MNIST", "FashionMNIST"]

_FAKE_SAMPLES = {True: 200, False: 50}  # of each class, for training and test


class StaticImages(abc.ABC):
    """A map-style dataset of images that are held in memory.

    ``dataset[i]`` is a pair (image, label).  Without a transform the image is float32
    ``[C, H, W]`` in 0..1.  A transform gets the uint8 array ``[H, W]`` or ``[H, W, C]`` instead,
    which common image transforms take like a picture.

    Args:
        root: folder of the files, see the head of this module.
        train: the training images, or the test images.
        transform: applied to each uint8 image.
        target_transform: applied to each label.
        download: fetch the files if they are not there.
        fake: write a small synthetic copy into an empty ``root``.

    Attributes:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, C]``.
        targets: label of every image.
        classes: names of the classes, in the order of their labels.

    Raises:
        FileNotFoundError: the files are not there; the message says where they should be.
        FormatError: a file is damaged.
        DownloadError: a download failed.
    """

    classes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
        fake: bool = False,
    ) -> None:
        self.root = Path(root)
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.is_fake = settle_fake(type(self), self.root, fake, stacklevel=3)
        if download and not self.is_fake and not self._is_there():
            self._fetch()
        self.images, labels = self._read()
        self.targets: list[int] = labels.tolist()
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        index = operator.index(index)  # a slice of images would look like an image
        image, label = self.images[index], self.targets[index]
        sample = _as_float(image) if self.transform is None else self.transform(image.copy())
        return sample, label if self.target_transform is None else self.target_transform(label)

    def with_transform(
        self,
        transform: Callable[[Any], Any] | None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> Self:
        """The same images with other transforms; shares the memory of this dataset."""
        twin = copy.copy(self)
        twin.transform, twin.target_transform = transform, target_transform
        return twin

    def __repr__(self) -> str:
        part = "train" if self.train else "test"
        return f"{type(self).__name__}({len(self)} {part} images, {self.root})"

    @classmethod
    def dataset_name(cls) -> str:
        """Name under which the files are published."""
        return cls.__name__

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        """Constructor arguments that choose each split."""
        return [{"train": True}, {"train": False}]

    @classmethod
    def downloadable(cls) -> bool:
        """Whether the files can be fetched without a person."""
        from .download import resources

        return resources(cls.dataset_name()).downloadable

    @classmethod
    def resource_url_md5(cls) -> list[tuple[str, str, str | None]]:
        """The published files as (file, address, md5)."""
        from .download import resources

        return resources(cls.dataset_name()).url_md5()

    @classmethod
    @abc.abstractmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        """Write the published files with synthetic content."""

    @abc.abstractmethod
    def _is_there(self) -> bool:
        """Whether the files of this split can be found."""

    @abc.abstractmethod
    def _fetch(self) -> None:
        """Download the files."""

    @abc.abstractmethod
    def _read(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images and labels of this split."""

    def _missing(self, what: str, folders: list[Path]) -> FileNotFoundError:
        looked = ", ".join(str(folder) for folder in folders)
        return FileNotFoundError(
            f"{type(self).__name__}: no {what} in any of {looked}; pass download=True to fetch it, "
            "or fake=True with an empty root for a synthetic copy"
        )


class MNIST(StaticImages):
    """Handwritten digits: 60000 training and 10000 test images of 28 x 28 grey pixels.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition,
    Proceedings of the IEEE 86, 1998.  Arguments, samples and errors as in :class:`StaticImages`.

    Example:
        >>> digits = MNIST("data", train=False, download=True)      # doctest: +SKIP
        >>> image, label = digits[0]                                # doctest: +SKIP
        >>> image.shape, image.dtype, label                         # doctest: +SKIP
        ((1, 28, 28), dtype('float32'), 7)
    """

    classes = tuple("0123456789")

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        for train, count in _FAKE_SAMPLES.items():
            labels = rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), count))
            images, label_file = (f"{name}.gz" for name in _idx_names(train))
            write_idx(download_root / images, fake_digits(labels, 28, rng))
            write_idx(download_root / label_file, labels)

    def _folders(self) -> list[Path]:
        raw = self.root / self.dataset_name() / "raw"
        return [raw, self.root / "raw", self.root, self.root / "download"]

    def _find(self, name: str) -> Path | None:
        # plain files first: unpacking takes time
        for suffix in ("", ".gz"):
            for folder in self._folders():
                if (folder / f"{name}{suffix}").is_file():
                    return folder / f"{name}{suffix}"
        return None

    def _is_there(self) -> bool:
        return all(self._find(name) for name in _idx_names(self.train))

    def _fetch(self) -> None:
        from .download import fetch_all, resources

        folder = self._folders()[0]
        folder.mkdir(parents=True, exist_ok=True)
        fetch_all(resources(self.dataset_name()), folder)

    def _read(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        (_, images), (path, labels) = map(self._array, _idx_names(self.train), (3, 1))
        if len(images) != len(labels):
            raise FormatError(path, f"{len(labels)} labels for {len(images)} images")
        if len(labels) and labels.max() >= len(self.classes):
            raise FormatError(path, f"label {labels.max()}, expected 0..{len(self.classes) - 1}")
        return images, labels.astype(np.int64)

    def _array(self, name: str, ndim: int) -> tuple[Path, NDArray[np.uint8]]:
        path = self._find(name)
        if path is None:
            raise self._missing(f"{name}[.gz]", self._folders())
        array = read_idx(path)
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise FormatError(
                path, f"expected {ndim} dimensions of uint8, got {array.ndim} of {array.dtype}"
            )
        return path, array


class FashionMNIST(MNIST):
    """Pictures of clothes: 60000 training and 10000 test images of 28 x 28 grey pixels.

    Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms, 2017.  Arguments, samples and errors as in :class:`StaticImages`.
    """

    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    )  # fmt: skip


class CIFAR10(StaticImages):
    """Small photographs: 50000 training and 10000 test images of 32 x 32 coloured pixels.

    The published binary version is read; the pickled one is not, since unpickling a file runs
    whatever is in it.

    Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009.  Arguments, samples
    and errors as in :class:`StaticImages`.
    """

    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    archive_name: ClassVar[str] = "cifar-10-binary.tar.gz"
    folder_name: ClassVar[str] = "cifar-10-batches-bin"

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        import tarfile

        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, cls.folder_name)
            folder.mkdir()
            for train, count in _FAKE_SAMPLES.items():
                names = _batch_names(train)
                for name in names:
                    labels = np.repeat(np.arange(10), count // len(names))
                    labels = rng.permutation(labels)
                    write_cifar10(folder / name, _coloured(labels, rng), labels)
            (folder / "batches.meta.txt").write_text("\n".join(cls.classes) + "\n")
            with tarfile.open(download_root / cls.archive_name, "w:gz") as archive:
                archive.add(folder, cls.folder_name)

    def _folders(self) -> list[Path]:
        return [self.root / self.folder_name, self.root]

    def _folder(self) -> Path | None:
        names = _batch_names(self.train)
        for folder in self._folders():
            if all((folder / name).is_file() for name in names):
                return folder
        return None

    def _archive(self) -> Path | None:
        for folder in (self.root, self.root / "download"):
            if (folder / self.archive_name).is_file():
                return folder / self.archive_name
        return None

    def _is_there(self) -> bool:
        return self._folder() is not None

    def _fetch(self) -> None:
        from .download import fetch_all, resources

        self.root.mkdir(parents=True, exist_ok=True)
        fetch_all(resources(self.dataset_name()), self.root)

    def _read(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        archive = self._archive()
        if self._folder() is None and archive is not None:
            from .download import extract

            extract(archive, self.root)
        folder = self._folder()
        if folder is None:
            if (self.root / "cifar-10-batches-py").is_dir():
                raise self._missing("binary version (the pickled one is not read)", self._folders())
            raise self._missing(", ".join(_batch_names(self.train)), self._folders())
        parts = [read_cifar10(folder / name) for name in _batch_names(self.train)]
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)


def _as_float(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    channels = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return channels.astype(np.float32) / np.float32(255)


def _idx_names(train: bool) -> tuple[str, str]:
    part = "train" if train else "t10k"
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def _batch_names(train: bool) -> list[str]:
    return [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]


def _coloured(labels: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Digits in the colour of their label ``[N, 32, 32, 3]``."""
    hue = labels[:, None] * 0.6 + np.arange(3) * 2.1
    colours = (0.6 + 0.4 * np.cos(hue))[:, None, None, :]
    return (fake_digits(labels, 32, rng)[..., None] * colours).astype(np.uint8)
