"""The configuration every model has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from ._names import unknown_name

__all__ = ["BaseModelConfig"]


@dataclass
class BaseModelConfig:
    """Which network to build, with which arguments and weights.

    Args:
        model_name: registered name; also the folder ``archs/<model_name>`` of a local network and
            the stem of its weight file.
        model_file_name: module below that folder, dots allowed.
        model_cls_name: class or function in that module.
        model_length: frames the network takes, version ``local``.
        model_length_dict: the same per released version.
        require_params: whether the network has weights to load.
        model_params: arguments of the network; values that differ from the class default hold for
            every version.
        model_params_dict: further arguments per released version.
        ckpt_path: weight file of version ``local``.
        load_state: load weights; mode ``eval`` sets it.
        multi_gpu: wrap the network in ``DataParallel``.
        base_url: where released weights are published.
        model_cls_local: your own wrapper class.
        arch_cls_local: your own network class or function.
        tile: rows and columns of the parts that an image is made in, for frames that do not fit
            into memory otherwise; ``None`` makes it at once.
    """

    model_name: str = "base"
    model_file_name: str = "nets"
    model_cls_name: str = "BaseNet"
    model_length: int = 41
    model_length_dict: dict[str, int] = field(default_factory=lambda: {"v010": 41, "v023": 41})
    require_params: bool = True
    model_params: dict[str, Any] = field(default_factory=dict)
    model_params_dict: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"v010": {}, "v023": {}}
    )
    ckpt_path: str = ""
    load_state: bool = False
    multi_gpu: bool = False
    base_url: str = "https://github.com/chenkang455/Spike-Zoo/releases/download"
    model_cls_local: Callable[..., Any] | None = None
    arch_cls_local: Callable[..., Any] | None = None
    tile: tuple[int, int] | None = None

    def length_for(self, version: str) -> int:
        """Frames the network takes in this version."""
        if version == "local":
            return self.model_length
        self._check_version(version)
        return self.model_length_dict[version]

    def params_for(self, version: str) -> dict[str, Any]:
        """Arguments of the network in this version.

        A released version's own arguments replace the class defaults, and are replaced by those
        ``model_params`` that the user changed.
        """
        if version == "local":
            return dict(self.model_params)
        self._check_version(version)
        default = self._default_params()
        changed = {
            key: value
            for key, value in self.model_params.items()
            if key not in default or default[key] != value
        }
        return {**default, **self.model_params_dict.get(version, {}), **changed}

    def _check_version(self, version: str) -> None:
        if version not in self.model_length_dict:
            known = ["local", *self.model_length_dict]
            raise ValueError(unknown_name(f"version of {self.model_name}", version, known))

    @classmethod
    def _default_params(cls) -> dict[str, Any]:
        declared = next(f for f in fields(cls) if f.name == "model_params")
        if declared.default_factory is not MISSING:
            return dict(declared.default_factory())
        return dict(declared.default) if declared.default is not MISSING else {}
