"""One image of any method, those that only make videos included."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torch import Tensor

from ..reconstruct import reconstruct
from ..reconstruct_video import reconstruct_video
from ..registry import find_method
from ..streams import Spikes
from ..tiling import check_tile

__all__ = ["image_at"]


def image_at(
    stream: Spikes,
    method: str,
    *,
    key_frame: int | None,
    window: int | None,
    sigma: float | None,
    rate: float,
    version: str | None,
    weights: str | os.PathLike[str] | None,
    tile: Sequence[int] | None,
) -> Tensor:
    """Image ``[H, W]`` of a stream ``[T, H, W]`` at a key frame; see ``reconstruct``."""
    parts = None if tile is None else check_tile(tile)
    if find_method(method) is not None:
        return reconstruct(
            stream,
            method=method,
            key_frame=key_frame,
            window=window,
            sigma=sigma,
            rate=rate,
            version=version,
            ckpt_path=weights,
            tile=parts,
        )
    key = stream.shape[0] // 2 if key_frame is None else key_frame
    video = reconstruct_video(
        stream,
        method,
        start=key,
        stop=key + 1,
        window=window,
        sigma=sigma,
        rate=rate,
        version=version,
        ckpt_path=weights,
        tile=parts,
    )
    return next(video)
