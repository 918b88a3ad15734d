"""What the cells of spiking recurrent networks share: two linear maps and a step.

p[t] = W_ih x[t] + b_ih          for many steps at once where the whole sequence is known
state[t] = step(p[t], state[t-1])          defined by the cell; it adds W_hh h[t-1] + b_hh

Shapes: x `[N, input_size]`, each state `[N, hidden_size]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from sj_neurons.surrogate import Erf, SurrogateFunction

from .._arguments import checked_count

__all__ = ["SpikingRNNCellBase", "Surrogate", "checked_states", "checked_surrogates"]

Surrogate = SurrogateFunction | Callable[[Tensor], Tensor]


class SpikingRNNCellBase(nn.Module):
    """Base of the cells; a subclass says how many gates and states it has and defines `step`.

    Parameters: `linear_ih` and `linear_hh`, `[gates * hidden_size, *]`, uniform within
    +-sqrt(1 / hidden_size).

    Args:
        input_size: features of x.
        hidden_size: features of each state.
        bias: whether both linear maps have a bias.

    Raises:
        TypeError, ValueError: a size that is not a whole number of at least 1.
    """

    gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        owner = type(self).__name__
        self.input_size = checked_count(owner, "input_size", input_size)
        self.hidden_size = checked_count(owner, "hidden_size", hidden_size)
        self.bias = bias
        rows = self.gates * self.hidden_size
        self.linear_ih = nn.Linear(self.input_size, rows, bias=bias)
        self.linear_hh = nn.Linear(self.hidden_size, rows, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        bound = math.sqrt(1 / self.hidden_size)
        for linear in (self.linear_ih, self.linear_hh):
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -bound, bound)

    def weight_ih(self) -> Tensor:
        """Weights of the input, `[gates * hidden_size, input_size]`."""
        return self.linear_ih.weight

    def weight_hh(self) -> Tensor:
        """Weights of the state, `[gates * hidden_size, hidden_size]`."""
        return self.linear_hh.weight

    def bias_ih(self) -> Tensor | None:
        """Bias of the input, `[gates * hidden_size]`."""
        return self.linear_ih.bias

    def bias_hh(self) -> Tensor | None:
        """Bias of the state, `[gates * hidden_size]`."""
        return self.linear_hh.bias

    def step(self, projected: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """New states, the output h first, from `linear_ih(x)` and the states before."""
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def forward(
        self, x: Tensor, states: Tensor | Sequence[Tensor] | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """New state of one step, or the tuple of new states of a cell that has several.

        Args:
            x: `[N, input_size]`.
            states: the state before, or as many as the cell has, each `[N, hidden_size]`; zeros
                if `None`.

        Raises:
            TypeError: states of the wrong number.
            ValueError: an input or a state of another shape.
        """
        owner = type(self).__name__
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ValueError(
                f"{owner}: expected x [N, {self.input_size}], got shape {tuple(x.shape)}"
            )
        projected = self.linear_ih(x)
        shape = (x.shape[0], self.hidden_size)
        before = checked_states(owner, self.state_names, states, shape, projected)
        after = self.step(projected, before)
        return after if len(self.state_names) > 1 else after[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, bias={self.bias}"


def checked_states(
    owner: str,
    names: tuple[str, ...],
    states: Tensor | Sequence[Tensor] | None,
    shape: tuple[int, ...],
    like: Tensor,
) -> list[Tensor]:
    """One state of `shape` for each name; zeros in dtype and device of `like` for None."""
    if states is None:
        return [like.new_zeros(shape) for _ in names]
    given = [states] if isinstance(states, Tensor) else states
    wanted = "a tensor" if len(names) == 1 else f"the tuple ({', '.join(names)})"
    if not (
        isinstance(given, Sequence)
        and len(given) == len(names)
        and all(isinstance(state, Tensor) for state in given)
    ):
        got = type(states).__name__
        if isinstance(states, tuple | list):
            got += f" of {len(states)}"
        raise TypeError(f"{owner}: states must be {wanted} or None, got {got}")
    for name, state in zip(names, given, strict=True):
        if state.shape != shape:
            raise ValueError(
                f"{owner}: expected the state {name} to be {list(shape)}, "
                f"got shape {tuple(state.shape)}"
            )
    return list(given)


def checked_surrogates(
    owner: str, surrogate_function1: Surrogate | None, surrogate_function2: Surrogate | None = None
) -> tuple[Surrogate, Surrogate | None]:
    """Both functions, a new `Erf()` in place of the first if it is None.

    Raises:
        TypeError: one cannot be called.
        ValueError: one spikes and the other does not.
    """
    first = Erf() if surrogate_function1 is None else surrogate_function1
    for function in (first, surrogate_function2):
        if function is not None and not callable(function):
            raise TypeError(
                f"{owner}: a surrogate function must be callable, such as surrogate.Erf(), "
                f"got {function!r}"
            )
    both = (first, surrogate_function2)
    if len({getattr(function, "spiking", None) for function in both} - {None}) > 1:
        raise ValueError(
            f"{owner}: surrogate_function1 and surrogate_function2 must both spike or both not; "
            "give them the same value of spiking"
        )
    return both
