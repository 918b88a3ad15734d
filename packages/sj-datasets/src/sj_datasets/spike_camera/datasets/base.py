"""A spike-camera dataset: streams and, for most, the sharp image of their middle frame.

Samples are dicts: ``spike`` float32 [T, H, W] of 0 and 1, ``gt_img`` float32 [1, H, W] in [0, 1],
``rate`` float.  Without images ``gt_img`` is the mean of the stream over time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..augment import Augmentor
from ..dat import save_vidar_dat
from ..media import IMAGE_SUFFIXES, read_gray_image
from ..stream import SpikeStream
from .config import BaseDatasetConfig
from .fake import settle_fake_streams, write_fake_streams
from .pairing import files_with, pair_images

__all__ = ["BaseDataset"]


class BaseDataset:
    """Streams ``root_dir/<split>/<spike_dir_name>/*.dat`` with images beside them.

    Map-style and without torch, so any loader takes it.  For other layouts or files, subclass and
    override ``prepare_data``, ``get_spike_files``, ``get_image_files``, ``load_spike`` or
    ``get_img``; ``load_spike`` may return anything that becomes an array ``[T, H, W]``.

    Args:
        cfg: where the files are and how they are read.

    Attributes:
        split: name of the split, after :meth:`build_source`.
        spike_list: files of the streams.
        img_list: files of their images, in the same order; empty without images.
    """

    def __init__(self, cfg: BaseDatasetConfig) -> None:
        self.cfg = cfg
        self.split = ""
        self.spike_length = -1
        self.spike_list: list[Path] = []
        self.img_list: list[Path] = []
        self._augmentor: Augmentor | None = None
        self._cache: list[tuple[SpikeStream | NDArray[np.float32], NDArray[np.float32]]] = []

    def __len__(self) -> int:
        return len(self.spike_list)

    def __repr__(self) -> str:
        state = f"split={self.split!r}, {len(self)} streams" if self.split else "not built"
        return f"{type(self).__name__}({os.fspath(self.cfg.root_dir)!r}, {state})"

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Sample ``idx``; negative numbers count from the end."""
        if not self.split:
            raise RuntimeError(f"{type(self).__name__}: call build_source(split) first")
        if not -len(self) <= idx < len(self):
            raise IndexError(f"sample {idx} is outside the {len(self)} of {self!r}")
        idx %= len(self)
        if self._cache:
            stream, image = self._cache[idx]
            spike, image = np.array(stream, np.float32), image.copy()
        else:
            spike, image = self._read(idx)
        if self._augmentor is not None:
            spike, image = self._augmentor(spike, image)
        return {
            "spike": np.ascontiguousarray(spike, np.float32),
            "gt_img": np.ascontiguousarray(image, np.float32),
            "rate": float(self.cfg.rate),
        }

    def build_source(self, split: str = "test") -> BaseDataset:
        """List the files of a split and read them if they are to be cached; returns itself.

        Raises:
            FileNotFoundError: no such folder, or nothing in it.
            FileExistsError: ``cfg.fake`` in a folder with other data.
            ValueError: streams and images cannot be paired, or ``cfg.rate`` is not positive.
        """
        if not split or Path(split).name != split:
            raise ValueError(f"split must name a folder such as 'train' or 'test', got {split!r}")
        cfg = self.cfg
        if not cfg.rate > 0:
            raise ValueError(f"rate must be positive, got {cfg.rate}: images are divided by it")
        cfg.root_dir = Path(cfg.root_dir)
        settle_fake_streams(self)
        if not cfg.root_dir.is_dir():
            raise FileNotFoundError(
                f"dataset {cfg.dataset_name!r}: no folder {cfg.root_dir}; set root_dir, or "
                "fake=True for synthetic data"
            )
        self.split = split
        self.spike_length = cfg.spike_length_train if split == "train" else cfg.spike_length_test
        self._augmentor = Augmentor(cfg.crop_size) if cfg.use_aug and split == "train" else None
        self._cache, self.img_list = [], []
        self.prepare_data()
        if not self.spike_list:
            raise FileNotFoundError(
                f"dataset {cfg.dataset_name!r}: no streams for split {split!r} in {cfg.root_dir}; "
                "check spike_dir_name and the layout of the folder"
            )
        if cfg.with_img and len(self.img_list) != len(self.spike_list):
            raise ValueError(
                f"dataset {cfg.dataset_name!r}: {len(self.spike_list)} streams but "
                f"{len(self.img_list)} images in split {split!r}; for streams alone set "
                "with_img=False"
            )
        if cfg.use_cache:
            self.cache_data()
        return self

    def prepare_data(self) -> None:
        """Fill ``spike_list`` and ``img_list`` for ``self.split``."""
        folder = Path(self.cfg.root_dir) / self.split
        self.spike_list = self.get_spike_files(folder / self.cfg.spike_dir_name)
        if self.cfg.with_img:
            images = self.get_image_files(folder / self.cfg.img_dir_name)
            self.img_list = pair_images(self.spike_list, images)

    def get_spike_files(self, path: Path) -> list[Path]:
        """Streams below a folder: all ``.dat`` files, sorted; hidden ones are left out."""
        return files_with(path, (".dat",))

    def get_image_files(self, path: Path) -> list[Path]:
        """Images below a folder, sorted."""
        return files_with(path, IMAGE_SUFFIXES)

    def load_spike(self, idx: int) -> SpikeStream | ArrayLike:
        """Stream ``idx`` as stored, ``[T, H, W]``; here a lazy one that reads what is cut out."""
        return SpikeStream(self.spike_list[idx], self.cfg.height, self.cfg.width)

    def get_spike(self, idx: int) -> NDArray[np.float32]:
        """The central ``spike_length`` frames of stream ``idx``.

        These are c - L//2 .. c + L//2 for odd L and c - L/2 .. c + L/2 - 1 for even L, c = T // 2.

        Raises:
            ValueError: the stream is shorter.
        """
        stream = self.load_spike(idx)
        if not isinstance(stream, SpikeStream):
            stream = np.asarray(stream)
        length = self.spike_length
        if length == -1:
            return np.asarray(stream, np.float32)
        if length < 1:
            raise ValueError(f"spike_length must be positive or -1, got {length}")
        if stream.shape[0] < length:
            raise ValueError(
                f"{self.spike_list[idx]} holds {stream.shape[0]} frames, spike_length_"
                f"{'train' if self.split == 'train' else 'test'} asks for {length}"
            )
        start = stream.shape[0] // 2 - length // 2
        return np.asarray(stream[start : start + length], np.float32)

    def get_img(self, idx: int) -> NDArray[np.float32]:
        """Image ``idx``, grey ``[1, H, W]`` in [0, 1]; without images the mean of the stream."""
        if not self.cfg.with_img:
            return _mean(self.get_spike(idx))
        return read_gray_image(self.img_list[idx])[None]

    def cache_data(self) -> None:
        """Read all samples into memory."""
        samples = (self._read(idx) for idx in range(len(self)))
        self._cache = [(_packed(spike), np.asarray(image, np.float32)) for spike, image in samples]

    def _read(self, idx: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        spike = self.get_spike(idx)
        if not self.cfg.with_img and type(self).get_img is BaseDataset.get_img:
            return spike, _mean(spike)  # without reading the stream a second time
        return spike, self.get_img(idx)

    def write_fake(
        self, streams: tuple[int, int] = (2, 2), n_frames: int = 301, seed: int = 0
    ) -> None:
        """Write a synthetic dataset of this layout, size and rate into ``root_dir``.

        Args:
            streams: how many for the splits ``train`` and ``test``.
            n_frames: length of each.
            seed: decides all of it.

        Raises:
            FileExistsError: ``root_dir`` holds something already.
        """
        write_fake_streams(self, streams, n_frames, seed)

    def save_spike(self, path: Path, spikes: NDArray[np.uint8]) -> None:
        """Write a synthetic stream ``[T, H, W]`` as this dataset stores them."""
        save_vidar_dat(path, spikes)

    def fake_paths(self, split: str, name: str) -> tuple[Path, Path | None]:
        """Where a synthetic stream and its image go; override where the layout differs."""
        folder = Path(self.cfg.root_dir) / split
        image = folder / self.cfg.img_dir_name / f"{name}.png" if self.cfg.with_img else None
        return folder / self.cfg.spike_dir_name / f"{name}.dat", image


def _mean(spike: NDArray[np.float32]) -> NDArray[np.float32]:
    return spike.mean(axis=0, keepdims=True)


def _packed(spike: NDArray[np.float32]) -> SpikeStream | NDArray[np.float32]:
    try:
        return SpikeStream.from_array(spike)
    except ValueError:  # not 0 and 1, or frames that do not fill bytes
        return spike
