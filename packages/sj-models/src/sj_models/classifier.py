"""What the convolutional classifiers of the zoo share: outputs over time, weights, builders.

step mode 'm'   [T, N, C, H, W] -> [T, N, K], or [N, K] with output='mean' or 'last'
step mode 's'   [N, C, H, W] -> [N, K]
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from sj_neurons.base import StepModule

from .output import Output, checked_output, read_out
from .weights import Weights, load_weights, torchvision_weights

__all__ = [
    "SpikingClassifier",
    "all_positive",
    "is_size",
    "load_weights_of_twin",
    "make",
    "positive",
    "show_arguments",
]

Classifier = TypeVar("Classifier", bound="SpikingClassifier")


class SpikingClassifier(nn.Module):
    """Base of classifiers whose layers all follow one step mode.

    `first_layers` and `last_layer` name the layers whose shape depends on the images and on the
    number of classes: given weights of other sizes, they keep their initial values.
    """

    first_layers: ClassVar[tuple[str, ...]] = ()
    last_layer: ClassVar[str] = ""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output: Output = checked_output(type(self).__name__, output)

    @staticmethod
    def flat(x: Tensor, step_layer: nn.Module) -> Tensor:
        """`x` with one feature axis; `step_layer` says whether there is a time axis."""
        return torch.flatten(x, 2 if _many_steps(step_layer) else 1)

    def read(self, y: Tensor, step_layer: nn.Module) -> Tensor:
        """What the model returns, from what its last layer gave.

        Raises:
            ValueError: `output` needs a sequence and `step_layer` is in step mode 's'.
        """
        if _many_steps(step_layer):
            return read_out(y, self.output)
        if self.output != "steps":
            raise ValueError(
                f"output={self.output!r} needs the whole sequence; "
                "call functional.set_step_mode(net, 'm')"
            )
        return y


def make(
    cls: Callable[..., Classifier],
    arguments: Mapping[str, Any],
    *,
    name: str = "",
    pretrained: bool = False,
    progress: bool = True,
    weights: Weights | None = None,
    strict: bool = True,
) -> Classifier:
    """Build a classifier and load its weights.

    Args:
        cls: the class.
        arguments: its arguments; `num_classes`, `in_channels` and `small_images` among them allow
            the layers concerned to differ from the weights.
        name: torchvision's name of the ANN, for `pretrained`.
        pretrained: load that ANN's ImageNet weights (downloaded once, checked by hash).
        weights: as for :func:`sj_models.weights.load_weights`, or torchvision's word
            `"IMAGENET1K_V1"` for those of `pretrained`.
        progress, strict: see there.

    Raises:
        ValueError: both `pretrained` and `weights`, or weights that do not fit.
    """
    if pretrained and weights is not None:
        raise ValueError("give pretrained=True or weights, not both")
    model = cls(**arguments)
    if pretrained or (name and isinstance(weights, str) and weights == "IMAGENET1K_V1"):
        weights = torchvision_weights(name)
    if weights is not None:
        load_weights_of_twin(model, weights, arguments, strict=strict, progress=progress)
    return model


def load_weights_of_twin(
    model: nn.Module,
    weights: Weights,
    arguments: Container[str],
    *,
    strict: bool = True,
    progress: bool = True,
) -> None:
    """Load weights of a model that was built without some of the `arguments`.

    Args:
        model: has `first_layers` and `last_layer`, see :class:`SpikingClassifier`.
        weights, strict, progress: see :func:`sj_models.weights.load_weights`.
        arguments: those given for `model`; with `num_classes`, `in_channels` or `small_images`
            among them, the layers concerned may differ from the weights.
    """
    first, *others = getattr(model, "first_layers", ()) or ("",)
    resized = [*others] if "small_images" in arguments else []
    if "num_classes" in arguments:
        resized.append(getattr(model, "last_layer", ""))
    of_images = "in_channels" in arguments or "small_images" in arguments
    load_weights(
        model,
        weights,
        resized=resized,
        first_layer=first if of_images else None,
        strict=strict,
        progress=progress,
    )


def show_arguments(
    build: Callable[..., Any], name: str, cls: type[nn.Module], hidden: tuple[str, ...], doc: str
) -> None:
    """Name and document a builder; its signature also lists the arguments of `cls` it passes on."""
    build.__name__ = build.__qualname__ = name
    build.__doc__ = doc
    own = inspect.signature(build)
    *shown, rest = own.parameters.values()
    passed = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for key, parameter in inspect.signature(cls).parameters.items()
        if key not in own.parameters and key not in hidden
    ]
    build.__signature__ = own.replace(parameters=[*shown, *passed, rest])  # pyright: ignore[reportFunctionMemberAccess]


def positive(owner: str, **sizes: int) -> None:
    """Refuse sizes below 1."""
    for name, size in sizes.items():
        if not is_size(size):
            raise ValueError(f"{owner}: {name} must be a whole number of at least 1, got {size!r}")


def all_positive(owner: str, count: int | None = None, **sizes: Sequence[int]) -> None:
    """Refuse lists of other lengths than `count` (any if `None`), or with sizes below 1."""
    for name, given in sizes.items():
        listed = isinstance(given, Sequence) and len(given) > 0 and all(map(is_size, given))
        if not listed or count not in (None, len(given)):
            what = "whole numbers" if count is None else f"{count} whole numbers"
            raise ValueError(f"{owner}: {name} must be {what} of at least 1, got {given!r}")


def is_size(given: object) -> bool:
    """Whether it is a whole number from 1 on."""
    return isinstance(given, Integral) and not isinstance(given, bool) and int(given) > 0


def _many_steps(step_layer: nn.Module) -> bool:
    return isinstance(step_layer, StepModule) and step_layer.step_mode == "m"
