"""What all stateless layers share: in step mode 'm' time is folded into the batch.

A layer is its torch class plus this mix-in:

    class Conv2d(TimeFolded, nn.Conv2d):
        sequence_layouts = ("T, N, C, H, W",)

so that arguments, parameters and `state_dict` are torch's own.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from torch import Tensor

from sj_neurons.base import StepModule
from sj_neurons.functional import seq_to_ann_forward

__all__ = ["TimeFolded", "repeated"]


class TimeFolded(StepModule):
    """Mix-in, placed before a torch layer, that lets it take sequences.

    Takes the arguments of the torch class and the keyword `step_mode` (`'s'` by default).
    """

    # the axes that an 'm' input may have, checked by their number; none takes any from [T, N, *]
    sequence_layouts: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # editors and help() show torch's arguments instead of *args
        if not any(base.__module__.startswith("torch") for base in cls.__mro__[:-1]):
            return  # a further mix-in
        makers = (base for base in cls.__mro__ if "__init__" in vars(base))
        maker = next(base for base in makers if not issubclass(TimeFolded, base))
        signature = inspect.signature(maker.__init__)
        arguments = list(signature.parameters.values())[1:]
        if maker.__module__.startswith("torch"):
            keyword_only = inspect.Parameter.KEYWORD_ONLY
            arguments.append(inspect.Parameter("step_mode", keyword_only, default="s"))
        cls.__signature__ = signature.replace(parameters=arguments)

    def __init__(self, *args: Any, step_mode: str = "s", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step_mode = step_mode

    def forward(self, input: Tensor) -> Any:
        one_step = super().forward  # pyright: ignore[reportAttributeAccessIssue]
        if self.step_mode == "s":
            return one_step(input)
        self._check_layout(input)
        if self.steps_are_equal(input):
            return repeated(one_step(input[0]), input.shape[0])
        return seq_to_ann_forward(input, one_step)

    def _check_layout(self, x: Tensor) -> None:
        ranks = [layout.count(",") + 1 for layout in self.sequence_layouts]
        if ranks and x.dim() not in ranks:
            expected = " or ".join(f"[{layout}]" for layout in self.sequence_layouts)
            raise ValueError(f"expected x with shape {expected}, but got x with shape {x.shape}!")

    @staticmethod
    def steps_are_equal(x: Tensor) -> bool:
        """Whether the sequence `x` is one step repeated by `expand`: its time stride is 0."""
        return x.shape[0] > 1 and x.stride(0) == 0

    def extra_repr(self) -> str:
        torch_repr = super().extra_repr()  # pyright: ignore[reportAttributeAccessIssue]
        return f"{torch_repr}, step_mode={self.step_mode}"


def repeated(y: Any, steps: int) -> Any:
    """The output of one step, or several in a tuple, for `steps` equal steps."""
    if isinstance(y, tuple):
        return tuple(repeated(item, steps) for item in y)
    return y.unsqueeze(0).expand(steps, *y.shape)
