"""SSIR behind the model interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from torch import Tensor

from sj_neurons.functional import reset_net

from ..config import BaseModelConfig
from .padded import PaddedModel

__all__ = ["SSIR", "SSIRConfig"]


@dataclass
class SSIRConfig(BaseModelConfig):
    """Configuration of :class:`SSIR`.

    Args:
        keep_state: keep the neurons' potentials from one call to the next, for consecutive
            windows of one stream; call :meth:`SSIR.reset_state` between streams.
    """

    model_name: str = "ssir"
    model_file_name: str = "models.networks"
    model_cls_name: str = "SSIR"
    keep_state: bool = False


class SSIR(PaddedModel):
    """Spiking network; sizes padded to multiples of 2, state reset after every call by default.

    Zhao et al., "Spike camera image reconstruction using deep spiking neural networks", IEEE
    Transactions on Circuits and Systems for Video Technology, 2023. With ``keep_state`` the paper
    moves the window by 20 frames and takes images from the second window on.
    """

    size_multiple: ClassVar[int] = 2
    cfg: SSIRConfig

    def __init__(self, cfg: SSIRConfig) -> None:
        super().__init__(cfg)

    def build_network(
        self, mode: Literal["debug", "train", "eval"] = "debug", version: str = "local"
    ) -> Self:
        """As in :class:`BaseModel`.

        Raises:
            ValueError: ``keep_state`` with ``multi_gpu``, whose copies of the net last one call, or
                with ``tile``.
        """
        if self.cfg.keep_state and self.cfg.multi_gpu:
            raise ValueError("keep_state does not work with multi_gpu: set one of them to False")
        return super().build_network(mode, version)

    def spk2img(self, spike: Tensor) -> Tensor:
        try:
            return super().spk2img(spike)
        finally:
            if not self.cfg.keep_state:
                self.reset_state()

    def receptive_radius(self) -> int:
        """As in :class:`BaseModel`.

        Raises:
            ValueError: ``keep_state``: the neurons keep potentials of one image, not of its tiles.
        """
        if self.cfg.keep_state:
            raise ValueError(
                "keep_state keeps the potentials of whole images, so ssir cannot make them in "
                "tiles: set keep_state=False or tile=None"
            )
        return super().receptive_radius()

    def _run_net(self, ready: Any) -> Any:
        image = super()._run_net(ready)
        if self.cfg.tile is not None:
            self.reset_state()
        return image

    def reset_state(self) -> None:
        """Forget the stream so far."""
        reset_net(self.net)
