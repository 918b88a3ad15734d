"""How a model turns the outputs of its time steps into what it returns."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

__all__ = ["Output", "checked_output", "read_out"]

Output = Literal["steps", "mean", "last"]


def checked_output(model: str, output: str) -> Output:
    """`output` if it is one of the known readings, else a `ValueError`."""
    if output not in get_args(Output):
        raise ValueError(f"{model}: output must be one of {get_args(Output)}, got {output!r}")
    return output  # pyright: ignore[reportReturnType]


def read_out(y_seq: Tensor, output: Output) -> Tensor:
    """`[T, N, K]` as it is (`'steps'`), averaged over time (`'mean'`), or its last step."""
    if output == "steps":
        return y_seq
    return y_seq.mean(0) if output == "mean" else y_seq[-1]
