"""Settings that all spike-camera datasets share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BaseDatasetConfig"]


@dataclass
class BaseDatasetConfig:
    """Where a dataset lies and how its samples are read; subclasses change the defaults.

    Args:
        dataset_name: name in :data:`DATASETS`, or any other together with ``dataset_cls_local``.
        root_dir: folder of the dataset.
        width: columns W; for recordings with a header, without it.
        height: rows H.
        with_img: there is an image for each stream.
        spike_length_train: central frames of each stream that training takes, -1 for all.
        spike_length_test: the same for other splits.
        spike_dir_name: folder of the streams below ``root_dir/<split>``.
        img_dir_name: folder of the images below ``root_dir/<split>``.
        rate: spikes per frame of a pixel under full light; image = reconstruction / rate.
        use_aug: augment training samples, see :class:`Augmentor`.
        use_cache: keep all samples in memory, streams packed 8 pixels to the byte.
        crop_size: rows and columns of random crops, (-1, -1) for none; used with ``use_aug``.
        dataset_cls_local: class to build instead of the one of ``dataset_name``.
        spike_load_version: ``"python"`` or ``"cpp"``; both select the one decoder there is.
        fake: write a synthetic dataset into ``root_dir`` if nothing is there.
    """

    dataset_name: str = "base"
    root_dir: str | Path = Path("data/base")
    width: int = 400
    height: int = 250
    with_img: bool = True
    spike_length_train: int = -1
    spike_length_test: int = -1
    spike_dir_name: str = "spike"
    img_dir_name: str = "gt"
    rate: float = 0.6
    use_aug: bool = False
    use_cache: bool = False
    crop_size: tuple[int, int] = (-1, -1)
    dataset_cls_local: type | None = None
    spike_load_version: str = "python"
    fake: bool = False
