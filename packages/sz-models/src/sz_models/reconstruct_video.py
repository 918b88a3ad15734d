"""A recording of any length to a sequence of images, in bounded memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._numbers import check_positive, whole
from .brightness import finish_image
from .classical.gtfp import gtfp_at, gtfp_reach
from .classical.isi import isi_video
from .classical.sweep import Out, spike_frames, video_buffer
from .classical.tfi import tfi_video
from .classical.tfp import tfp_video
from .classical.tfstp import ShortTermPlasticity, equalize
from .classical.window import half_window
from .reconstruct import build_method, open_stream
from .registry import check_name, is_registered
from .streams import Spikes
from .tiling import check_tile

__all__ = ["reconstruct_video"]

_BLOCK_PIXELS = 1 << 22
_DEFAULT_WINDOW = 41
_DEFAULT_SIGMA = 5.0


class _Sweep(NamedTuple):
    """A method that makes the images of many key frames together."""

    margin: int
    """Frames that must lie in the stream on each side of a key frame."""
    reach: int
    """Frames that are read on each side, as far as there are any."""
    images: Callable[[Spikes, range], Tensor]
    """From a part of the stream and key frames counted in it."""


def reconstruct_video(
    spikes: Spikes | str | os.PathLike[str],
    method: str = "tfp",
    *,
    height: int | None = None,
    width: int | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
    window: int | None = None,
    sigma: float | None = None,
    rate: float = 1.0,
    version: str | None = None,
    ckpt_path: str | os.PathLike[str] | None = None,
    tile: tuple[int, int] | None = None,
    out: Out | None = None,
    strict: bool = True,
) -> Iterator[Tensor]:
    """Images of the key frames start, start + step, ... before stop, one after the other.

    Each is what ``reconstruct`` makes at that key frame.  Of a ``SpikeStream`` or file only some
    windows are decoded at a time, whatever its length.

    Args:
        spikes: a ``.dat`` file, or a stream ``[T, H, W]`` (tensor, array, ``SpikeStream``).
        method: ``"tfstp"`` or a name in ``METHODS``.
        height: rows of the file.
        width: columns of the file.
        start: first key frame, by default the first whose window lies in the stream.
        stop: end of the key frames, by default behind the last whose window lies in the stream.
        step: frames from one key frame to the next.
        window: frames that TFP, TFI, GTFP or ISI look at.
        sigma: width in frames of GTFP's weights.
        rate: spikes per frame at full brightness; images are divided by it, then clipped.  Where
            brightness has no scale (``tfstp``, ``BaseModel.free_brightness``) each image is
            stretched instead.
        version: released weights of a network, by default v023.
        ckpt_path: weight file to use instead.
        tile: rows and columns of the parts that a network makes each image in, for frames that do
            not fit into memory otherwise.
        out: float32 ``[n, H, W]`` to write the images to, for example a memory map; the images
            given are its parts.
        strict: refuse a file with an incomplete last frame.

    Returns:
        float32 ``[H, W]`` in [0, 1], on the CPU.

    Raises:
        FileNotFoundError: recording or weights are missing.
        ValueError: unknown method, an option the method has not, wrong sizes, key frames outside
            the stream, ``tile`` with a method that needs whole images.  All at the call, not at
            the first image.

    Example:
        >>> import torch
        >>> video = reconstruct_video(torch.ones(50, 4, 8), "tfp", window=11, step=10)
        >>> [round(image.mean().item(), 3) for image in video]
        [1.0, 1.0, 1.0, 1.0]
    """
    check_positive(rate=rate)
    name = check_name(method).lower()
    stream = open_stream(spikes, height, width, strict=strict)
    chosen: dict[str, Any] = {"window": window, "sigma": sigma}
    shadowed = is_registered(name)
    sweep = None if shadowed else _sweep(name, chosen)
    if tile is not None and not shadowed:
        _check_tiles(name, tile)
    model: Any = None
    before = after = sweep.margin if sweep else 0
    if shadowed or (sweep is None and name != "tfstp"):
        model = build_method(method, chosen, version=version, ckpt_path=ckpt_path, tile=tile)
        before = model.input_length() // 2
        after = model.input_length() - before - 1
    elif version is not None or ckpt_path is not None:
        raise ValueError(f"method {method!r} has no weights")
    keys = _key_frames(stream.shape[0], before, after, start, stop, step)
    shape = (len(keys), *stream.shape[1:])
    buffer = None if out is None else video_buffer(out, shape, torch.float32)
    if sweep is not None:
        images = _by_blocks(stream, sweep, keys)
    elif model is None:
        images = _by_plasticity(stream, keys)
    else:
        images = _one_by_one(stream, model, keys)
    free = model.free_brightness if model is not None else sweep is None
    return _finished(images, rate, free, buffer)


def _check_tiles(name: str, tile: tuple[int, int]) -> None:
    """Methods without a network look at single pixels; only the histogram is of all of them."""
    check_tile(tile)
    if name == "tfstp":
        raise ValueError(
            f"{name} cannot make images in tiles: its histogram is of the whole image; set "
            "tile=None"
        )


def _sweep(name: str, chosen: dict[str, Any]) -> _Sweep | None:
    """The method of a name with its options, or ``None`` if it is of another kind."""
    window, sigma = chosen["window"], chosen["sigma"]
    if name in ("tfp", "tfi", "isi", "tfstp") and sigma is not None:
        raise ValueError(f"method {name!r} has no option 'sigma'")
    if name == "tfstp" and window is not None:
        raise ValueError(f"method {name!r} has no option 'window'")
    if name == "gtfp":
        sigma = _DEFAULT_SIGMA if sigma is None else sigma
        check_positive(sigma=sigma)
        half = 0 if window is None else half_window(window, smallest=1)
        reach = gtfp_reach(sigma) if window is None else half
        return _Sweep(half, reach, lambda part, keys: gtfp_at(part, keys, sigma, window=window))
    videos = {"tfp": (tfp_video, 1), "tfi": (tfi_video, 2), "isi": (isi_video, 2)}
    if name not in videos:
        return None
    video, smallest = videos[name]
    window = _DEFAULT_WINDOW if window is None else window
    half = half_window(window, smallest=smallest)
    return _Sweep(half, half, lambda part, keys: video(part, window)[:: keys.step])


def _key_frames(
    n_frames: int, before: int, after: int, start: int | None, stop: int | None, step: int
) -> range:
    step = whole("step", step)
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    first, end = before, n_frames - after
    if end <= first:
        raise ValueError(
            f"the method needs {before + after + 1} frames, but the stream has {n_frames}"
        )
    start = first if start is None else whole("start", start)
    keys = range(start, end if stop is None else whole("stop", stop), min(step, n_frames))
    if not keys:
        raise ValueError(f"no key frames from {keys.start} to {keys.stop - 1}")
    if keys[0] < first or keys[-1] >= end:
        raise ValueError(
            f"key frames {keys[0]}..{keys[-1]} leave {first}..{end - 1}, those whose windows lie "
            f"in the stream of {n_frames} frames"
        )
    return keys


def _by_blocks(stream: Spikes, sweep: _Sweep, keys: range) -> Iterator[Tensor]:
    """Key frames whose windows overlap share what is read and summed."""
    n_frames = stream.shape[0]
    span = max(sweep.reach + 1, _BLOCK_PIXELS // math.prod(stream.shape[1:]))
    together = max(1, span // keys.step) if keys.step <= 2 * sweep.reach else 1
    for index in range(0, len(keys), together):
        block = keys[index : index + together]
        first = max(0, block[0] - sweep.reach)
        part = stream[first : min(n_frames, block[-1] + sweep.reach + 1)]
        yield from sweep.images(part, range(block[0] - first, block[-1] - first + 1, keys.step))


def _by_plasticity(stream: Spikes, keys: range) -> Iterator[Tensor]:
    """The synapse sees every frame up to the last key frame."""
    synapse = ShortTermPlasticity()
    length = max(1, _BLOCK_PIXELS // math.prod(stream.shape[1:]))
    for first in range(0, keys[-1] + 1, length):
        part = spike_frames(stream[first : min(first + length, keys[-1] + 1)])
        for index, frame in enumerate(torch.from_numpy(part), first):
            synapse.update(frame)
            if index in keys:
                yield equalize(synapse.rate())


def _one_by_one(stream: Spikes, model: Any, keys: range) -> Iterator[Tensor]:
    for key in keys:
        with torch.inference_mode():
            image = model.image_at(stream, key).float().cpu()
        yield image


def _finished(
    images: Iterator[Tensor], rate: float, free_brightness: bool, buffer: Tensor | None
) -> Iterator[Tensor]:
    for index, image in enumerate(images):
        bright = finish_image(image, rate, free_brightness=free_brightness)
        yield bright if buffer is None else buffer[index].copy_(bright)
