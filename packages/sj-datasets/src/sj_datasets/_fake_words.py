"""An archive of synthetic words in the layout of Speech Commands."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .formats.wav import write_wav

__all__ = ["WORDS", "write_fake_words"]

WORDS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four",
    "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right",
    "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip
_SAMPLES = {"": 4, "validation_list.txt": 2, "testing_list.txt": 2}  # of each word
_SECONDS = 1.0  # as most of the published ones, so that batches need no padding


def write_fake_words(path: Path, rate: int, rng: np.random.Generator) -> None:
    """Write a .tar.gz of short tones, one melody per word, with lists and background noise."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lists: dict[str, list[str]] = {name: [] for name in _SAMPLES}
        for label, word in enumerate(WORDS):
            (folder / word).mkdir()
            for name, count in _SAMPLES.items():
                for _ in range(count):
                    file = f"{word}/{rng.bytes(4).hex()}_nohash_0.wav"
                    write_wav(folder / file, _melody(label, rate, rng), rate)
                    lists[name].append(file)
        for name, files in lists.items():
            if name:
                (folder / name).write_text("\n".join(files) + "\n")
        (folder / "_background_noise_").mkdir()
        for name, strength in (("white_noise", 0.1), ("running_tap", 0.03)):
            noise = rng.normal(0, strength, 2 * rate).clip(-1, 1).astype(np.float32)
            write_wav(folder / "_background_noise_" / f"{name}.wav", noise, rate)
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for entry in sorted(folder.iterdir()):
                archive.add(entry, f"./{entry.name}")


def _melody(label: int, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Two notes, whose pitches are a matter of the label."""
    n = int(_SECONDS * rate)
    first, second = 250 * 2 ** (label % 7 / 3), 250 * 2 ** (label // 7 / 2)
    pitch = np.where(np.arange(n) < n // 2, first, second) * rng.uniform(0.98, 1.02)
    phase = 2 * np.pi * (np.cumsum(pitch) / rate + rng.random())
    loud = rng.uniform(0.3, 0.8) * np.hanning(n)
    return (loud * np.sin(phase) + rng.normal(0, 0.01, n)).clip(-1, 1).astype(np.float32)
