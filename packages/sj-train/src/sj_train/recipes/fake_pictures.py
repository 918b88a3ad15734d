"""A small folder of synthetic pictures: noise in a colour of its own per class.

<root>/train/<class>/<i>.png, <root>/val/<class>/<i>.png
"""

from __future__ import annotations

import colorsys
import shutil
import tempfile
from pathlib import Path

import torch

from ..errors import OutputError
from ..extras import require

__all__ = ["write_fake_pictures"]

_CLASSES = ("red", "green", "blue", "grey")
_COUNTS = {"train": 8, "val": 4}  # per class
_SIDE = 48


def write_fake_pictures(root: Path) -> Path:
    """Write the pictures to ``root`` unless they are there; returns ``root``.

    Safe with several processes: the folder appears whole, once.

    Raises:
        OutputError: it cannot be written.
    """
    if root.is_dir():
        return root
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{root.name}", dir=root.parent))
        try:
            _fill(part)
            part.chmod(0o755)
            part.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot write {root}: {error.strerror or error}") from error
    return root


def _fill(root: Path) -> None:
    pillow = require("PIL.Image", "images")
    draw = torch.Generator().manual_seed(0)
    for part, count in _COUNTS.items():
        for number, name in enumerate(_CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            hue, saturation = number / 3, 0.0 if name == "grey" else 0.9
            colour = torch.tensor(colorsys.hsv_to_rgb(hue, saturation, 0.8))
            for index in range(count):
                noise = 0.6 * torch.rand(_SIDE, _SIDE, 1, generator=draw) + 0.4
                pixels = (255 * noise * colour).to(torch.uint8).flatten().tolist()
                picture = pillow.frombytes("RGB", (_SIDE, _SIDE), bytes(pixels))
                picture.save(folder / f"{index}.png")
