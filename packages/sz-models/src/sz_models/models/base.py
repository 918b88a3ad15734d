"""The wrapper around every network: input cropping, weights, losses, outputs.

Streams are ``[B, T, H, W]``, images ``[B, 1, H, W]``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from sj_datasets import SpikeStream
from sj_datasets.atomic import atomic_path

from .._names import unknown_name
from .._numbers import whole
from ..config import BaseModelConfig
from ..networks import build_network
from ..streams import Spikes, as_tensor, check_axes, check_binary
from ..tiling import check_tile, tiled, told_out_of_memory
from ..weights import load_weights, released_weights

__all__ = ["BaseModel"]

Batch = Mapping[str, Any]
Loss = Callable[[Tensor, Tensor], Tensor]

_MODES = ("debug", "train", "eval")
# Images of half precision would be rounded; other integers only take memory.
_EXACT = (torch.bool, torch.uint8, torch.float32, torch.float64)
_LOSSES: dict[str, Callable[[], Loss]] = {"l1": nn.L1Loss, "l2": nn.MSELoss}
_log = logging.getLogger(__name__)


class BaseModel(nn.Module):
    """Turns spikes ``[B, T, H, W]`` into images ``[B, 1, H, W]`` with the network of ``cfg``.

    Subclasses override :meth:`preprocess_spike` and :meth:`postprocess_img` for networks that
    need another representation or size, and :meth:`get_outputs_dict` and :meth:`get_loss_dict`
    for several training outputs.

    Args:
        cfg: the configuration.

    Example:
        >>> import torch
        >>> model = BaseModel(BaseModelConfig(model_params={"inDim": 41})).build_network("debug")
        >>> model(torch.zeros(1, 60, 16, 16, device=model.device)).shape
        torch.Size([1, 1, 16, 16])
    """

    net: nn.Module
    free_brightness: ClassVar[bool] = False
    """Whether images have no fixed brightness: they are stretched instead of divided by a rate."""
    size_multiple: ClassVar[int] = 1
    """Sides that the network takes are multiples of this."""

    def __init__(self, cfg: BaseModelConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model_length = cfg.model_length
        self.spike_size: tuple[int, int] | None = None
        self._losses: dict[str, Loss] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "net" and "net" not in self.__dict__.get("_modules", ()):
            raise AttributeError(f"{type(self).__name__} has no network yet: call build_network()")
        return super().__getattr__(name)

    def network(self) -> nn.Module:
        """The network, without a ``DataParallel`` wrapper."""
        return self.net.module if isinstance(self.net, nn.DataParallel) else self.net

    def input_length(self) -> int:
        """Frames around a key frame that one image is made from."""
        return self.model_length

    def build_network(
        self,
        mode: Literal["debug", "train", "eval"] = "debug",
        version: str = "local",
    ) -> Self:
        """Build the network, load weights if asked to, move it to ``self.device``.

        Args:
            mode: ``debug`` and ``eval`` put the network in evaluation mode, ``train`` in training
                mode; ``eval`` always loads weights (and sets ``cfg.load_state``), the others where
                ``cfg.load_state`` says so.
            version: ``local`` takes weights from ``cfg.ckpt_path``, a released version (``v010``,
                ``v023``) from the weight folder, which are downloaded if they are not there
                (``$SZ_MODELS_OFFLINE`` forbids it).

        Raises:
            ValueError: unknown mode, version or network, weights that do not fit, or ``cfg.tile``
                with a network that needs whole images.
            FileNotFoundError: the weights are not there, and downloads are forbidden.
            OSError: they could not be downloaded, or are not those that were used first.
        """
        if mode not in _MODES:
            raise ValueError(unknown_name("mode", mode, _MODES))
        if mode == "eval" and self.cfg.require_params and not self.cfg.load_state:
            _log.info("mode eval loads the weights of %s", self.cfg.model_name)
        net = build_network(self.cfg, version)
        if mode == "eval":
            self.cfg.load_state = True
        if self.cfg.load_state and self.cfg.require_params:
            load_weights(net, self._weight_file(version))
        net.train(mode == "train")
        net.to(self.device)
        self.net = nn.DataParallel(net) if self.cfg.multi_gpu else net
        if self.cfg.tile is not None:
            check_tile(self.cfg.tile)
            self.receptive_radius()
        self.model_length = self.cfg.length_for(version)
        return self

    def forward(self, spike: Tensor) -> Tensor:
        return self.spk2img(spike)

    def spk2img(self, spike: Tensor) -> Tensor:
        """Spikes ``[B, T, H, W]`` -> images ``[B, 1, H, W]``; used by training and inference.

        With ``cfg.tile`` the network sees one tile at a time; spikes may then stay on the CPU, and
        the image lies where they lie.  Values are not looked at here, so that training may use
        others than 0 and 1; :meth:`image_at`, ``reconstruct`` and the pipelines refuse them.

        Raises:
            TypeError: spikes are no tensor of real numbers.
            ValueError: other axes, an empty stream, or fewer frames than the network takes.
            MemoryError: the network does not fit into the device's memory with this input.
        """
        ready = self.preprocess_spike(spike)
        if self.cfg.tile is None:
            return self.postprocess_img(self._run_net(ready))
        image = tiled(
            lambda part: self._run_net(part.to(self.device)),
            ready,
            tile=self.cfg.tile,
            halo=self.receptive_radius(),
            multiple=self.size_multiple,
        )
        return self.postprocess_img(image)

    def receptive_radius(self) -> int:
        """How many pixels away a pixel's value can depend on spikes, from the network.

        Networks say it in an attribute ``receptive_radius``; those whose pixels depend on the whole
        image say why in ``needs_whole_image``.

        Raises:
            ValueError: there is no bound, it is not known, or the network is in training mode,
                where normalisation looks at the whole image.
        """
        net = self.network()
        radius = getattr(net, "receptive_radius", None)
        if radius is None:
            why = getattr(net, "needs_whole_image", "it has no attribute receptive_radius")
            raise ValueError(
                f"{self.cfg.model_name} cannot make images in tiles: {why}; set tile=None"
            )
        if net.training:
            raise ValueError(
                "tiles are for inference: build the network in mode 'debug' or 'eval', or set "
                "tile=None"
            )
        return radius

    def image_at(self, spikes: Spikes, key_frame: int | None = None) -> Tensor:
        """Image ``[H, W]`` at one key frame of a stream ``[T, H, W]`` of any length.

        Only the frames that the method needs are decoded and moved to the device.

        Args:
            spikes: tensor, array or ``SpikeStream``.
            key_frame: by default ``T // 2``.

        Raises:
            TypeError: no stream, or no whole number.
            ValueError: the frames around the key frame leave the stream, or it holds other values
                than 0 and 1.
        """
        key = self._key(spikes, key_frame)
        length = self.input_length()
        start = key - length // 2
        stop = start + length
        if start < 0 or stop > len(spikes):
            raise ValueError(
                f"{self.cfg.model_name} at key frame {key} needs frames {start}..{stop - 1}, but "
                f"the stream has frames 0..{len(spikes) - 1}; choose another key frame or window"
            )
        return self.spk2img(self._segment(spikes, start, stop))[0, 0]

    def save_network(self, save_path: str | os.PathLike[str]) -> None:
        """Write the network's state dict, on the CPU; the file appears whole or not at all."""
        state = {key: value.cpu() for key, value in self.network().state_dict().items()}
        with atomic_path(save_path) as temporary:
            torch.save(state, temporary)

    def crop_spike_length(self, spike: Tensor) -> Tensor:
        """Keep the ``model_length`` frames around frame T // 2; sets ``spike_size`` to (H, W).

        Raises:
            ValueError: fewer frames than the network takes.
        """
        self._check_spike(spike)
        length, n_frames = self.model_length, spike.shape[1]
        if n_frames < length:
            raise ValueError(
                f"{self.cfg.model_name} takes {length} frames, but the stream has {n_frames}"
            )
        self.spike_size = (spike.shape[2], spike.shape[3])
        return spike.narrow(1, n_frames // 2 - length // 2, length)

    def preprocess_spike(self, spike: Tensor) -> Tensor:
        """Spikes -> input of the network; here only the crop in time."""
        return self.crop_spike_length(spike)

    def postprocess_img(self, image: Tensor) -> Tensor:
        """Output of the network -> image; here unchanged."""
        return image

    def get_outputs_dict(self, batch: Batch) -> dict[str, Tensor]:
        """Outputs for losses and metrics, brightness divided by ``batch["rate"]`` ``[B]``."""
        rate = batch["rate"].view(-1, 1, 1, 1).float()
        return {"recon_img": self.spk2img(batch["spike"]) / rate}

    def get_visual_dict(self, batch: Batch, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Images worth saving."""
        return {"recon_img": outputs["recon_img"], "gt_img": batch["gt_img"]}

    def get_loss_dict(
        self, outputs: Mapping[str, Tensor], batch: Batch, loss_weight_dict: Mapping[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Weighted losses by name, as tensors to differentiate and as numbers to log."""
        losses = {
            name: weight * self.get_loss_func(name)(outputs["recon_img"], batch["gt_img"])
            for name, weight in loss_weight_dict.items()
        }
        return losses, {name: loss.item() for name, loss in losses.items()}

    def get_loss_func(self, name: str) -> Loss:
        """Loss function ``l1`` or ``l2``.

        Raises:
            ValueError: no such loss.
        """
        if name not in _LOSSES:
            raise ValueError(unknown_name("loss", name, _LOSSES))
        return self._losses.setdefault(name, _LOSSES[name]())

    def get_paired_imgs(self, batch: Batch, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Reconstruction and truth for the metrics."""
        return outputs["recon_img"], batch["gt_img"]

    def feed_to_device(self, batch: Batch) -> dict[str, Any]:
        """The batch with its tensors on ``self.device``, everything else unchanged."""
        return {
            key: value.to(self.device, non_blocking=True) if isinstance(value, Tensor) else value
            for key, value in batch.items()
        }

    def _weight_file(self, version: str) -> str | os.PathLike[str]:
        if version != "local":
            return released_weights(self.cfg, version)
        if not self.cfg.ckpt_path:
            raise ValueError(
                f"no weights given for {self.cfg.model_name}: set ckpt_path, or build a released "
                "version such as 'v023'"
            )
        return self.cfg.ckpt_path

    def _run_net(self, ready: Any) -> Any:
        """The network on what :meth:`preprocess_spike` made, or a part of it."""
        shape = tuple(ready.shape) if isinstance(ready, Tensor) else (*(self.spike_size or ()),)
        net = self.network()
        tiles = getattr(net, "receptive_radius", None) is not None
        advice = "make it in tiles (tile of its config)" if tiles else "use smaller frames"
        with told_out_of_memory(self.cfg.model_name, shape, advice):
            return self.net(self._as_input(ready))

    def _as_input(self, spike: Tensor) -> Tensor:
        """Spikes in the element type of the network's parameters, if it has any."""
        parameter = next(self.net.parameters(), None)
        return spike if parameter is None else spike.to(parameter.dtype)

    def _check_spike(self, spike: Tensor) -> None:
        check_axes(spike, "BTHW")
        if not isinstance(spike, Tensor):
            raise TypeError(
                f"a model takes spikes as a tensor, got {type(spike).__name__}; convert them, or "
                "use image_at"
            )

    @staticmethod
    def _key(spikes: Spikes, key_frame: int | None) -> int:
        check_axes(spikes, "THW")
        key = len(spikes) // 2 if key_frame is None else whole("key_frame", key_frame)
        if not 0 <= key < len(spikes):
            raise ValueError(f"key frame {key} leaves the stream of {len(spikes)} frames")
        return key

    def _segment(self, spikes: Spikes, start: int, stop: int) -> Tensor:
        """Frames [start, stop) as ``[1, n, H, W]`` on the device, checked to be 0 or 1."""
        frames = as_tensor(spikes[start:stop])
        if not isinstance(spikes, SpikeStream):
            check_binary(frames)
            if frames.dtype not in _EXACT:
                frames = frames.to(torch.uint8)
        # Tiles go to the device one by one.
        return frames[None] if self.cfg.tile is not None else frames.to(self.device)[None]
