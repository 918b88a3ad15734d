"""Speech Commands: one-second recordings of single spoken words.

    root/speech_commands_v0.02.tar.gz                              as published
    root/<folder_in_archive>/speech_commands_v0.02/<word>/*.wav    16 kHz, one channel
                                                   validation_list.txt, testing_list.txt
                                                   training_list.txt   all others, made here

Warden: Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, 2018.
"""

from __future__ import annotations

import copy
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ._fake_words import write_fake_words
from .atomic import atomic_path
from .download import Resource, extract, fetch, resources
from .errors import FormatError
from .fake import settle_fake
from .formats.wav import read_wav
from .locking import folder_lock
from .transforms import RandomSource

__all__ = ["SILENCE", "SpeechCommands"]

_log = logging.getLogger(__name__)

SILENCE = "_silence_"
"""Key of the label dict for crops of background noise."""

_NOISE = "_background_noise_"
_SPEAKER_MARK = "_nohash_"
_LISTS = {"train": "training_list.txt", "val": "validation_list.txt", "test": "testing_list.txt"}
_VERSIONS = {"speech_commands_v0.01": "SpeechCommands-v0.01", "speech_commands_v0.02": ""}


class SpeechCommands:
    """Recordings of spoken words, by version 0.01 (30 words) or 0.02 (35 words).

    ``dataset[i]`` is a pair (sound, label): float32 ``[1, L]``, divided by its largest absolute
    value, at ``SpeechCommands.rate`` samples per second; most are 16000 samples long, some less.
    The last ``silence_cnt`` samples are random crops of the background noise.

    Args:
        label_dict: label of each word, and of ``"_silence_"`` if silence_cnt is not 0; ``None``
            numbers the words in alphabetical order, silence last.
        root: folder of the archive.
        silence_cnt: number of samples of silence.
        silence_size: their length in samples.
        transform: applied to each sound.
        url: ``"speech_commands_v0.01"``, ``"speech_commands_v0.02"``, or the address of an
            archive of this layout.
        split: ``"train"``, ``"val"`` or ``"test"``.
        folder_in_archive: folder below root for what is extracted.
        download: fetch the archive if it is not there.
        seed: makes the crops of silence repeatable; ``None`` draws anew at every access.
        fake: write a small synthetic copy into an empty ``root``.

    Attributes:
        targets: label of every sample.
        weights: for training, one weight per sample for a weighted sampler, float64 ``[N]``:
            each label is drawn equally often.

    Raises:
        FileNotFoundError: the recordings are not there.
        FormatError: a list or a recording is damaged.
        ValueError: an argument is out of range, or a word has no label.
    """

    rate: ClassVar[int] = 16000

    def __init__(
        self,
        label_dict: Mapping[str, int] | None = None,
        root: str | os.PathLike[str] | None = None,
        silence_cnt: int = 0,
        silence_size: int = 16000,
        transform: Callable[[Any], Any] | None = None,
        url: str = "speech_commands_v0.02",
        split: str = "train",
        folder_in_archive: str = "SpeechCommands",
        download: bool = False,
        *,
        seed: int | None = None,
        fake: bool = False,
    ) -> None:
        if root is None:
            raise TypeError("root is missing: SpeechCommands(label_dict, root)")
        if split not in _LISTS:
            raise ValueError(f"split must be one of {', '.join(_LISTS)}, got {split!r}")
        if silence_cnt < 0 or silence_size <= 0:
            raise ValueError(
                "silence_cnt must not be negative and silence_size positive, got "
                f"{silence_cnt} and {silence_size}"
            )
        self.root, self.split = Path(root), split
        self.silence_cnt, self.silence_size = silence_cnt, silence_size
        self.transform = transform
        self._seed, self._random = seed, RandomSource(seed)
        self.is_fake = settle_fake(type(self), self.root, fake, stacklevel=3)
        archive = _archive(url)
        self.folder = self.root.absolute() / folder_in_archive / archive.name.rsplit(".", 2)[0]
        if not self.folder.is_dir():
            self._unpack(archive, download)
        self.noise_list = sorted(str(path) for path in self.folder.glob(f"{_NOISE}/*.wav"))
        if silence_cnt and not self.noise_list:
            raise FileNotFoundError(f"{self.folder / _NOISE}: no .wav file to make silence from")
        self.files = self._listed(split)
        self.label_dict = dict(self._default_labels() if label_dict is None else label_dict)
        self.targets = self._labels()
        if split == "train":
            self.weights = _weights(self.targets)

    def __len__(self) -> int:
        return len(self.files) + self.silence_cnt

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        if index < len(self.files):
            sound = self._read(self.folder / self.files[index])
        else:
            sound = self._silence(index - len(self.files))
        peak = np.abs(sound).max(initial=0)
        if peak > 0:
            sound /= peak
        return (
            sound if self.transform is None else self.transform(sound),
            self.targets[index],
        )

    def with_transform(self, transform: Callable[[Any], Any] | None) -> Self:
        """The same recordings with another transform."""
        twin = copy.copy(self)
        twin.transform = transform
        return twin

    def __repr__(self) -> str:
        return f"SpeechCommands({len(self)} {self.split} samples, {self.folder})"

    @classmethod
    def dataset_name(cls) -> str:
        """Name under which the files are published."""
        return cls.__name__

    @classmethod
    def split_arguments(cls) -> list[dict[str, Any]]:
        """Constructor arguments that choose each split."""
        return [{"split": split} for split in _LISTS]

    @classmethod
    def downloadable(cls) -> bool:
        """Whether the files can be fetched without a person."""
        return resources(cls.dataset_name()).downloadable

    @classmethod
    def resource_url_md5(cls) -> list[tuple[str, str, str | None]]:
        """The published archive of version 0.02 as (file, address, md5)."""
        return resources(cls.dataset_name()).url_md5()

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        """Write the published archive with synthetic words."""
        write_fake_words(download_root / "speech_commands_v0.02.tar.gz", cls.rate, rng)

    def _unpack(self, archive: Resource, download: bool) -> None:
        places = [self.root / archive.name, self.root / "download" / archive.name]
        found = next((path for path in places if path.is_file()), None)
        if found is None and not download:
            raise FileNotFoundError(
                f"neither {self.folder} nor {places[0]} exists; pass download=True to fetch the "
                "archive, or fake=True with an empty root for a synthetic copy"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.root, f".{self.folder.name}.lock"):
            if self.folder.is_dir():  # made by the process that held the lock before
                return
            if download and not self.is_fake:
                found = fetch(archive, self.root, dataset=self.dataset_name())
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            extract(found or places[0], self.folder, progress=not self.is_fake)

    def _listed(self, split: str) -> list[str]:
        """Files of a split as ``word/file.wav``."""
        path = self.folder / _LISTS[split]
        if split == "train" and not path.is_file():
            return self._make_training_list(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; delete {self.folder} and start again")
        files = [line.strip().replace("\\", "/") for line in path.read_text().splitlines()]
        files = [file for file in files if file]
        for number, file in enumerate(files, 1):
            parts = file.split("/")
            if len(parts) != 2 or ".." in parts or not all(parts):
                raise FormatError(path, f"entry {number} is {file!r}, expected word/file.wav")
        return files

    def _make_training_list(self, path: Path) -> list[str]:
        others = {*self._listed("val"), *self._listed("test")}
        found = (p.relative_to(self.folder).as_posix() for p in self.folder.glob("*/*.wav"))
        files = sorted(
            file
            for file in found
            if _SPEAKER_MARK in file and not file.startswith(_NOISE) and file not in others
        )
        try:
            with atomic_path(path) as temporary:
                temporary.write_text("\n".join(files))
        except PermissionError:
            _log.info("%s cannot be kept; it is made anew each time", path)
        return files

    def _default_labels(self) -> dict[str, int]:
        words = sorted(
            p.name for p in self.folder.iterdir() if p.is_dir() and p.name[0] not in "_."
        )
        return {word: label for label, word in enumerate([*words, SILENCE])}

    def _labels(self) -> list[int]:
        words = [file.partition("/")[0] for file in self.files] + [SILENCE] * self.silence_cnt
        missing = sorted(set(words) - self.label_dict.keys())
        if missing:
            raise ValueError(
                f"label_dict has no label for {', '.join(missing)}; give every word one, the same "
                "for all words that do not matter"
            )
        return [self.label_dict[word] for word in words]

    def _read(self, path: Path) -> NDArray[np.float32]:
        samples, rate = read_wav(path, mono=False)
        if rate != self.rate:
            raise FormatError(path, f"sampled at {rate} Hz, expected {self.rate}")
        return samples.T.copy()

    def _silence(self, number: int) -> NDArray[np.float32]:
        rng = self._random.generator()
        if self._seed is not None:
            rng = np.random.default_rng([self._seed, number])
        path = Path(self.noise_list[int(rng.integers(len(self.noise_list)))])
        noise = self._read(path)
        if noise.shape[1] < self.silence_size:
            raise ValueError(
                f"{path} has {noise.shape[1]} samples, silence_size asks for {self.silence_size}"
            )
        start = int(rng.integers(noise.shape[1] - self.silence_size + 1))
        return noise[:, start : start + self.silence_size].copy()


def _archive(url: str) -> Resource:
    if url in _VERSIONS:
        return resources(_VERSIONS[url] or "SpeechCommands").files[0]
    name = url.rsplit("/", 1)[-1]
    if "://" not in url or not name.endswith(".tar.gz"):
        raise ValueError(
            f"url must be one of {', '.join(_VERSIONS)} or the address of a .tar.gz, got {url!r}"
        )
    return Resource(name, None, (url,))


def _weights(targets: list[int]) -> NDArray[np.float64]:
    """1 / n for a label of n samples, scaled so that the labels' weights add up to 1."""
    counts = Counter(targets)
    total = sum(1 / count for count in counts.values())
    return np.array([1 / counts[label] / total for label in targets], np.float64)
