"""Images side by side with a line of text below each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Panel", "contact_sheet"]

_GAP = 6
_TEXT_SIZE = 13
_TEXT_ROWS = 20
_NARROWEST = 150  # room for a label


class Panel(NamedTuple):
    """An image uint8 ``[H, W]`` and what is written below it."""

    pixels: NDArray[np.uint8]
    label: str


def contact_sheet(panels: Sequence[Panel]) -> Image.Image:
    """Panels of one size in rows, on white; small images are enlarged by a whole factor."""
    height, width = panels[0].pixels.shape
    scale = max(1, math.ceil(_NARROWEST / width))
    cell = scale * width + _GAP, scale * height + _TEXT_ROWS + _GAP
    columns = _columns(len(panels), cell)
    rows = math.ceil(len(panels) / columns)
    sheet = Image.new("L", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), 255)
    draw = ImageDraw.Draw(sheet)
    for index, panel in enumerate(panels):
        x, y = (n * side + _GAP for n, side in zip(divmod(index, columns)[::-1], cell, strict=True))
        image = Image.fromarray(panel.pixels)
        sheet.paste(image.resize((scale * width, scale * height), Image.Resampling.NEAREST), (x, y))
        font = _font(panel.label, scale * width)
        draw.text((x + 2, y + scale * height + 2), panel.label, fill=0, font=font)
    return sheet


def _columns(n_panels: int, cell: tuple[int, int]) -> int:
    """As many as make the sheet closest to 4 : 3."""

    def distance(columns: int) -> float:
        rows = math.ceil(n_panels / columns)
        empty = columns * rows - n_panels
        return abs(math.log(columns * cell[0] * 3 / (rows * cell[1] * 4))) + 0.2 * empty

    return min(range(1, n_panels + 1), key=distance)


def _font(label: str, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest up to the usual size in which the label fits."""
    for size in range(_TEXT_SIZE, 7, -1):
        font = ImageFont.load_default(size)
        if font.getlength(label) <= width - 4:
            return font
    return ImageFont.load_default(7)
