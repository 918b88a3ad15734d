"""Which patches of an image are hidden.

    block mask    rectangles of random size and shape until exactly the wanted number is hidden
    SimMIM mask   random coarse cells, each a square of patches

Masks are booleans, True where a patch is hidden; all randomness comes from a `torch.Generator`.
Sources: Bao et al., "BEiT", arXiv:2106.08254; Xie et al., "SimMIM", arXiv:2111.09886.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from .backbones.position import pair

__all__ = ["BEiTMaskGenerator", "SimMIMMaskGenerator"]

_TRIES = 10  # rectangles that may fail in a row before single patches finish the mask


class BEiTMaskGenerator:
    """Block masks `[h, w]` with exactly `num_masking_patches` hidden patches.

    A rectangle has an area between `min_num_patches` and the number that is still to be hidden
    (at most `max_num_patches`), and a ratio of height to width that is log-uniform. It is taken if
    it hides at least one new patch and not too many. When no rectangle fits, random single
    patches finish the mask, so that a call always ends.

    Args:
        input_size: patches per side, or (height, width).
        num_masking_patches: how many are hidden.
        min_num_patches: smallest area of a rectangle.
        max_num_patches: largest area; `None` is `num_masking_patches`.
        min_aspect: smallest ratio of height to width, above 0.
        max_aspect: largest ratio; `None` is 1 / `min_aspect`.

    Raises:
        ValueError: more hidden patches than there are, or an empty range.

    Example:
        >>> import torch
        >>> hide = BEiTMaskGenerator(14, num_masking_patches=75)
        >>> int(hide(generator=torch.Generator().manual_seed(0)).sum())
        75
    """

    def __init__(
        self,
        input_size: int | Sequence[int],
        num_masking_patches: int,
        min_num_patches: int = 4,
        max_num_patches: int | None = None,
        min_aspect: float = 0.3,
        max_aspect: float | None = None,
    ) -> None:
        self.height, self.width = pair(input_size)
        self.num_masking_patches = num_masking_patches
        self.min_num_patches = min_num_patches
        self.max_num_patches = num_masking_patches if max_num_patches is None else max_num_patches
        if not 0 <= num_masking_patches <= self.height * self.width:
            raise ValueError(
                f"BEiTMaskGenerator: num_masking_patches must be from 0 to "
                f"{self.height * self.width}, got {num_masking_patches}"
            )
        if min_num_patches < 1 or (max_num_patches or min_num_patches) < min_num_patches:
            raise ValueError(
                f"BEiTMaskGenerator: no rectangles have between {min_num_patches} and "
                f"{max_num_patches} patches"
            )
        highest = 1 / min_aspect if max_aspect is None and min_aspect > 0 else max_aspect
        if not 0 < min_aspect <= (highest or 0):
            raise ValueError(
                f"BEiTMaskGenerator: no ratios between min_aspect={min_aspect} and "
                f"max_aspect={max_aspect}"
            )
        self.log_aspect = (math.log(min_aspect), math.log(highest or min_aspect))

    def __call__(self, count: int | None = None, generator: Generator | None = None) -> Tensor:
        """One mask `[h, w]`, or `count` of them `[count, h, w]`."""
        if count is not None:
            masks = [self(generator=generator) for _ in range(count)]
            return torch.stack(masks) if masks else torch.zeros(0, self.height, self.width) > 0
        mask = torch.zeros(self.height, self.width, dtype=torch.bool)
        missing = self.num_masking_patches
        while missing > 0 and (added := self._add_rectangle(mask, missing, generator)):
            missing -= added
        free = (~mask.flatten()).nonzero().flatten()
        chosen = free[torch.randperm(len(free), generator=generator)[:missing]]
        mask.view(-1)[chosen] = True
        return mask

    def _add_rectangle(self, mask: Tensor, missing: int, generator: Generator | None) -> int:
        """Hide a rectangle in `mask`; the number of patches it added, 0 if none was found."""
        largest = max(min(missing, self.max_num_patches), self.min_num_patches)
        low, high = self.log_aspect
        for _ in range(_TRIES):
            u = torch.rand(4, generator=generator).tolist()
            area = self.min_num_patches + u[0] * (largest - self.min_num_patches)
            aspect = math.exp(low + u[1] * (high - low))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (0 < height <= self.height and 0 < width <= self.width):
                continue
            top = int(u[2] * (self.height - height + 1))
            left = int(u[3] * (self.width - width + 1))
            block = mask[top : top + height, left : left + width]
            added = block.numel() - int(block.sum())
            if 0 < added <= missing:
                block.fill_(True)
                return added
        return 0


class SimMIMMaskGenerator:
    """Masks `[h, w]` of random coarse cells, on the grid of the model's patches.

    Args:
        input_size: side of the image in pixels.
        mask_patch_size: side of a cell in pixels; divides `input_size`.
        model_patch_size: side of the model's patches in pixels; divides `mask_patch_size`.
        mask_ratio: share of hidden cells, rounded up to whole cells, in [0, 1].

    Raises:
        ValueError: sizes that do not divide, or a ratio outside [0, 1].

    Example:
        >>> hide = SimMIMMaskGenerator(64, mask_patch_size=32, model_patch_size=4)
        >>> mask = hide()
        >>> mask.shape, int(mask.sum())       # 3 of 4 cells, 8 x 8 patches each
        (torch.Size([16, 16]), 192)
    """

    def __init__(
        self,
        input_size: int = 192,
        mask_patch_size: int = 32,
        model_patch_size: int = 4,
        mask_ratio: float = 0.6,
    ) -> None:
        sizes = (input_size, mask_patch_size, model_patch_size)
        if min(sizes) < 1 or input_size % mask_patch_size or mask_patch_size % model_patch_size:
            raise ValueError(
                "SimMIMMaskGenerator: model_patch_size must divide mask_patch_size, and that "
                f"input_size, got {model_patch_size}, {mask_patch_size} and {input_size}"
            )
        if not 0 <= mask_ratio <= 1:
            raise ValueError(f"SimMIMMaskGenerator: mask_ratio must be in [0, 1]: {mask_ratio}")
        self.cells = input_size // mask_patch_size
        self.scale = mask_patch_size // model_patch_size
        self.num_hidden = math.ceil(round(self.cells**2 * mask_ratio, 6))  # 0.55 * 100 is 55

    def __call__(self, count: int | None = None, generator: Generator | None = None) -> Tensor:
        """One mask `[h, w]`, or `count` of them `[count, h, w]`."""
        total = self.cells**2
        mask = torch.zeros(1 if count is None else count, total, dtype=torch.bool)
        for row in mask:
            row[torch.randperm(total, generator=generator)[: self.num_hidden]] = True
        mask = mask.view(-1, self.cells, self.cells)
        mask = mask.repeat_interleave(self.scale, 1).repeat_interleave(self.scale, 2)
        return mask[0] if count is None else mask
