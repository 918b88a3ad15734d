"""Pictures in rows and columns, as one file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from .. import files
from ..extras import require

__all__ = ["save_colour_sheet"]

_GAP = 4  # pixels between pictures
_SIDE = 128  # small pictures are enlarged to about this size


def save_colour_sheet(path: Path, pictures: list[list[Tensor]]) -> None:
    """Write pictures ``[C, H, W]`` in 0..1, a row per sample; small ones are enlarged.

    One channel is grey, three are colours; of other numbers the mean is shown.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = []
    for row in pictures:
        spaced = [pad(_coloured(picture), (0, _GAP), value=1.0) for picture in row]
        rows.append(pad(torch.cat(spaced, -1), (0, 0, 0, _GAP), value=1.0))
    sheet = torch.cat(rows, -2)[..., :-_GAP, :-_GAP]
    levels = (sheet.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    size = (levels.shape[1], levels.shape[0])
    pillow = require("PIL.Image", "images")
    picture = pillow.frombytes("RGB", size, bytes(levels.flatten().tolist()))
    files.write_atomic(path, lambda file: picture.save(file, format="PNG"))


def _coloured(picture: Tensor) -> Tensor:
    x = picture.detach().float().cpu()
    x = x if x.shape[0] == 3 else x.mean(0, keepdim=True).expand(3, -1, -1)
    scale = max(1, _SIDE // max(x.shape[-2:]))
    return interpolate(x[None], scale_factor=scale, mode="nearest")[0]
