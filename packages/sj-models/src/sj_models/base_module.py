"""Modules that know how their parameters start."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from .initialise import apply_rule, as_rules, initialise_children, is_pretrained

__all__ = ["BaseModule"]


class BaseModule(nn.Module):
    """A module whose parameters are initialised by rules.

    Construction leaves torch's own initialisation; :meth:`init_weights` applies, once, the rules of
    `init_cfg` to the whole module, then those of its children, then :meth:`init_own`, and loads
    pretrained weights last, so that they win. `sj_models.build.build` calls it for a whole model.
    Parts that got all their parameters from a `state_dict` count as initialised.

    Args:
        init_cfg: one rule, such as `{"type": "Kaiming", "layer": "Conv2d"}`, or a list of them;
            see :mod:`sj_models.initialise`.
    """

    def __init__(
        self, init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        super().__init__()
        self.init_cfg: Any = copy.deepcopy(init_cfg)
        self._init_report: dict[str, str] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "init_weights" in vars(cls):  # whatever an override does is done once, too
            cls.init_weights = _once(cls.init_weights)  # pyright: ignore[reportAttributeAccessIssue]

    def init_own(self) -> None:
        """What rules cannot say; to be overridden. Runs before pretrained weights are loaded."""

    def init_weights(self) -> dict[str, str]:
        """Initialise all parameters; a second call changes nothing.

        Returns:
            parameter name -> the rule that set it last.

        Raises:
            ValueError: a rule that matches no layer.
        """
        if self._init_report is not None:
            return self._init_report
        rules = as_rules(self.init_cfg)
        report: dict[str, str] = {}
        for rule in (rule for rule in rules if not is_pretrained(rule)):
            report |= apply_rule(self, rule)
        report |= initialise_children(self)
        self.init_own()
        for rule in filter(is_pretrained, rules):
            report |= apply_rule(self, rule)
        self._init_report = report
        return report

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        loaded = [f"{prefix}{name}" in state_dict for name, _ in self.named_parameters()]
        if self._init_report is None and loaded and all(loaded):
            self._init_report = {}


def _once(init_weights: Callable[[Any], Any]) -> Callable[[Any], dict[str, str]]:
    @functools.wraps(init_weights)
    def wrapped(self: Any) -> dict[str, str]:
        if self._init_report is None:
            init_weights(self)
            self._init_report = self._init_report or {}
        return self._init_report

    return wrapped
