"""Random crops, flips and rotations that a stream and its image share."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

__all__ = ["Augmentor", "augment"]

N_MODES = 8


def augment(frames: NDArray[np.generic], mode: int) -> NDArray[np.generic]:
    """One of the 8 symmetries of a square, applied to each frame of ``[T, H, W]``; a view.

    0 as it is, 1 transposed, 2 upside down, 3 rotated by 270 degrees, 4 mirrored left to right,
    5 rotated by 90 degrees (anticlockwise), 6 by 180, 7 mirrored along the other diagonal.  Frames
    that are not square keep their size: an odd mode becomes the even one below it.

    Raises:
        ValueError: not 3-D, or no such mode.
    """
    if frames.ndim != 3:
        raise ValueError(f"frames must have shape [T, H, W], got {list(frames.shape)}")
    if not 0 <= mode < N_MODES:
        raise ValueError(f"mode must be 0..{N_MODES - 1}, got {mode}")
    if frames.shape[1] != frames.shape[2]:
        mode -= mode % 2
    quarter_turns = {3: 3, 4: 2, 5: 1, 6: 2, 7: 3, 1: 1}.get(mode, 0)
    turned = np.rot90(frames, quarter_turns, axes=(1, 2))
    return turned[:, ::-1] if mode in (1, 2, 4, 7) else turned


class Augmentor:
    """Crops at random, then applies a random one of the modes of :func:`augment`.

    Args:
        crop_size: rows and columns to cut out, at most the frame's; (-1, -1) keeps all.
        rng: generator or seed.  ``None`` draws from Python's global generator, which loaders seed
            in each worker process, so workers do not repeat each other.

    Example:
        >>> import numpy as np
        >>> augmentor = Augmentor((2, 3), rng=0)
        >>> spike, image = augmentor(np.zeros((41, 4, 8)), np.zeros((1, 4, 8)))
        >>> spike.shape, image.shape
        ((41, 2, 3), (1, 2, 3))
    """

    def __init__(
        self, crop_size: tuple[int, int] = (-1, -1), rng: random.Random | int | None = None
    ) -> None:
        height, width = crop_size
        if (height, width) != (-1, -1) and min(height, width) < 1:
            raise ValueError(f"crop_size must be positive or (-1, -1), got {crop_size}")
        self.crop_size = (height, width)
        self._rng = random.Random(rng) if isinstance(rng, int) else rng

    def __call__(
        self, spike: NDArray[np.generic], image: NDArray[np.generic]
    ) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Stream ``[T, H, W]`` and image ``[1, H, W]``, both under the same transform.

        Raises:
            ValueError: the two differ in size, or the crop is larger than the frames.
        """
        if spike.shape[1:] != image.shape[1:]:
            raise ValueError(
                f"the stream is {spike.shape[1:]}, its image {image.shape[1:]}: augmentation needs "
                "one size; use_aug=False leaves them as they are"
            )
        rows, columns = self._window(*spike.shape[1:])
        mode = self._randint(N_MODES)
        return augment(spike[:, rows, columns], mode), augment(image[:, rows, columns], mode)

    def _window(self, height: int, width: int) -> tuple[slice, slice]:
        if self.crop_size == (-1, -1):
            return slice(None), slice(None)
        crop_height, crop_width = self.crop_size
        if crop_height > height or crop_width > width:
            raise ValueError(f"crop_size {self.crop_size} exceeds the frames, {height}x{width}")
        y = self._randint(height - crop_height + 1)
        x = self._randint(width - crop_width + 1)
        return slice(y, y + crop_height), slice(x, x + crop_width)

    def _randint(self, end: int) -> int:
        return self._rng.randrange(end) if self._rng is not None else random.randrange(end)
