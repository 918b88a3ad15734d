"""Pictures of what a spiking encoder makes of images.

<folder>/visualization/<i>/input.png               the image, four times as large
<folder>/visualization/<i>/s_<t>.png|.pdf|.svg     the encoder's maps at step t
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sj_neurons import functional

from .. import files
from ..errors import OptionError, OutputError, RunExistsError
from ..extras import require

__all__ = ["save_encoder_pictures"]

_log = logging.getLogger(__name__)
_COLUMNS = 8
_FORMATS = ("png", "pdf", "svg")


def save_encoder_pictures(net: Any, images: Tensor, folder: Path) -> Path:
    """Draw the encoder's spikes for each image; all pictures appear, or none.

    Args:
        net: has ``T`` and ``spiking_encoder()``, which takes ``[T, N, C, H, W]``.
        images: ``[N, 1, H, W]`` in 0..1.

    Returns:
        the folder ``visualization``.

    Raises:
        RunExistsError: it exists already.
        OptionError: the number of maps is no multiple of 8.
    """
    target = folder / "visualization"
    if target.exists():
        raise RunExistsError(f"{target} exists already; remove it or choose another -save-es")
    spikes = encoder_spikes(net.spiking_encoder().eval(), images, net.T)
    if spikes.shape[2] % _COLUMNS:
        raise OptionError(
            f"argument -channels: pictures need a multiple of {_COLUMNS}, got {spikes.shape[2]}"
        )
    files.prepare_folder(folder)
    part = Path(tempfile.mkdtemp(prefix=".visualization", dir=folder))
    try:
        for i, image in enumerate(interpolate(images.cpu(), scale_factor=4, mode="bilinear")):
            (part / str(i)).mkdir()
            _save_image(part / str(i) / "input.png", image)
            for t in range(net.T):
                _log.info("saving sample %d, t=%d", i, t)
                _draw(part / str(i), t, spikes[t, i])
        part.chmod(0o755)
        part.rename(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _log.info("Pictures: %s", target)
    return target


@torch.inference_mode()
def encoder_spikes(encoder: nn.Module, images: Tensor, steps: int) -> Tensor:
    """Spikes ``[T, N, C, H, W]`` of images ``[N, 1, H, W]`` shown at every step."""
    device = next(encoder.parameters()).device
    functional.reset_net(encoder)
    spikes = encoder(images.to(device).expand(steps, *images.shape))
    functional.reset_net(encoder)
    return spikes.cpu()


def _save_image(path: Path, image: Tensor) -> None:
    height, width = image.shape[-2:]
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8)
    pillow = require("PIL.Image", "images")
    pillow.frombytes("L", (width, height), bytes(pixels.flatten().tolist())).save(path)


def _draw(folder: Path, t: int, maps: Tensor) -> None:
    require("matplotlib", "plot").use("Agg")
    pyplot = require("matplotlib.pyplot", "plot")
    rows, (height, width) = maps.shape[0] // _COLUMNS, maps.shape[1:]
    size = (8.0, max(8.0 * rows * height / (_COLUMNS * width), 1.0) + 0.5)
    fig, _ = require("sj_layers.visualizing", "recipes").plot_2d_feature_map(
        maps, rows, _COLUMNS, 2, f"$S[{t}]$", figsize=size
    )
    for suffix in _FORMATS:
        fig.savefig(folder / f"s_{t}.{suffix}", bbox_inches="tight")
    pyplot.close(fig)
