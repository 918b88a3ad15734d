"""Bytes that a layer keeps for its backward pass, and the most that is allocated at one time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

__all__ = ["peak_bytes", "saved_bytes"]


def saved_bytes(
    forward: Callable[[], Sequence[Tensor]], alive: Iterable[Tensor]
) -> tuple[int, Sequence[Tensor]]:
    """Bytes that autograd saves in `forward`, and what `forward` returns.

    Memory that lives anyway is not counted: that of `alive` (input, parameters) and of the tensors
    that `forward` returns (output, states). Memory saved twice counts once.
    """
    saved: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor  # holds it: addresses are not reused
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = forward()
    free = {tensor.untyped_storage().data_ptr() for tensor in (*alive, *outputs)}
    extra = (t.untyped_storage().nbytes() for place, t in saved.items() if place not in free)
    return sum(extra), outputs


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that torch has allocated on the CPU at one time within `call`, in bytes."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    recorded: Any = profiler.profiler.kineto_results.events()  # pyright: ignore
    steps = [(event.start_ns(), event.nbytes()) for event in recorded if event.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(steps, key=lambda step: step[0]):
        held += change
        most = max(most, held)
    return most
