"""Charge, fire, reset: the frame that every neuron fills with its own `charge`.

    charge   h[t] = f(x[t], v[t-1])                        defined by the neuron
    fire     s[t] = 1 where h[t] >= v_threshold, else 0    gradient: the surrogate's
    reset    hard  v[t] = (1 - s[t]) h[t] + s[t] v_reset   v_reset is a number
             soft  v[t] = h[t] - s[t] v_threshold          v_reset is None

With `detach_reset` the s in the reset carries no gradient. A NaN input never fires and stays in v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from .. import ops
from .._arguments import checked_number
from ..backend import BACKENDS
from ..base import MemoryModule
from ..surrogate import Sigmoid, SurrogateFunction
from ._checks import checked_surrogate

__all__ = ["BaseNode"]


def _constant_when_compiled(method: Any) -> Any:
    """`torch.compiler.assume_constant_result` without the import of the compiler, which is long."""
    method._dynamo_marked_constant = True
    return method


class BaseNode(MemoryModule):
    """A spiking neuron; subclasses define :meth:`charge`.

    The step is pure: :meth:`step` maps `(x, v)` to `(spike, new v)` and touches nothing else. A
    neuron with more states than v names them all in `states`, v first, and overrides :meth:`step`,
    which then maps `(x, v, ...)` to `(spike, new v, ...)`.

    Subclasses written for the imperative hooks (`neuronal_charge`, `neuronal_fire`,
    `neuronal_reset`, all acting on `self.v`) work too; where one is overridden, all are used.

    `waivers` names the laws of the test suite that a class cannot obey, each with its reason.

    Args:
        v_threshold: membrane potential at which the neuron fires; a tensor that broadcasts to
            `[N, *]` gives every channel its own.
        v_reset: potential after a spike (hard reset), or `None` for a soft reset.
        surrogate_function: spike function with surrogate gradient; a new `Sigmoid()` if `None`.
        detach_reset: whether the reset is left out of the gradient.
        step_mode: `'s'` or `'m'`.
        backend: which implementation runs the steps: `'torch'`, `'cpp'`, `'cupy'` or `'auto'`
            (:mod:`sj_neurons.backend`); the default backend, `'torch'`, if `None`.
        store_v_seq: keep the potentials after each reset of an `'m'` call in `v_seq`, `[T, N, *]`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: an unknown step mode.
        NotImplementedError: a backend this neuron does not have.
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0}
    waivers: ClassVar[dict[str, str]] = {}
    _overrides_hooks: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hooks = (getattr(cls, name) for name in dir(cls) if name.startswith("neuronal_"))
        here = __name__.partition(".")[0]
        cls._overrides_hooks = any(hook.__module__.partition(".")[0] != here for hook in hooks)

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.v_threshold: float | Tensor = (
            v_threshold
            if isinstance(v_threshold, Tensor)
            else checked_number(owner, "v_threshold", v_threshold)
        )
        self.v_reset = None if v_reset is None else checked_number(owner, "v_reset", v_reset)
        if not isinstance(detach_reset, bool):
            raise TypeError(f"{owner}: detach_reset must be True or False, got {detach_reset!r}")
        self.surrogate_function = checked_surrogate(owner, surrogate_function, Sigmoid)
        self.detach_reset = detach_reset
        self.store_v_seq = store_v_seq
        self.v_seq: Tensor | None = None
        for name, value in self.states.items():
            at_rest = self.v_reset if name == "v" and self.v_reset is not None else value
            self.register_memory(name, at_rest)
        self.step_mode = step_mode
        # what the subclass's constructor sets comes later, so the step cannot be traced yet
        self._backend = self._available_backend(backend)

    # the pure step

    def charge(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Charged potential h of the input `x` and the states `v, ...`, all `[N, *]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define charge(x, v)")

    def fire(self, h: Any) -> Any:
        """Spikes of the charged potential `h`."""
        return ops.fire(h - self.v_threshold, self.surrogate_function)

    def voltage_reset(self, h: Any, spike: Any) -> Any:
        """Potential after the reset that `spike` causes."""
        if self.detach_reset:
            spike = ops.detach(spike)
        if self.v_reset is None:
            return h - spike * self.v_threshold
        v = (1.0 - spike) * h
        return v if self.v_reset == 0.0 else v + spike * self.v_reset

    def step(self, x: Any, *states: Any, **named: Any) -> tuple[Any, ...]:
        """One pure time step: `(x, v, ...) -> (spike, new v, ...)`, in the order of `states`."""
        h = self.charge(x, *states, **named)
        spike = self.fire(h)
        return spike, self.voltage_reset(h, spike)

    def step_tensor(self, name: str, dim: int) -> Tensor:
        """The tensor attribute `name`, shaped to broadcast against one step of `dim` dimensions.

        Fused kernels read tensors through it; a class whose step reshapes them overrides it.
        """
        return getattr(self, name)

    # the imperative hooks

    def neuronal_charge(self, x: Tensor) -> None:
        """Charge `self.v` with `x`."""
        self.v = self.charge(x, self.v)

    def neuronal_fire(self) -> Tensor:
        """Spikes of the charged `self.v`."""
        return self.fire(self.v)

    def neuronal_reset(self, spike: Tensor) -> None:
        """Reset `self.v` where `spike` is 1."""
        self.v = self.voltage_reset(self.v, spike)

    # running it

    @property
    def supported_backends(self) -> tuple[str, ...]:
        """The backends of a scalar recurrence."""
        return BACKENDS

    def checked_backend(self, name: str | None) -> str:
        """`name`, if the step runs on it.

        Raises:
            NotImplementedError: the step cannot be fused; says why.
            ImportError: the library behind the backend is missing.
        """
        name = self._available_backend(name)
        if name in ("cpp", "cupy"):
            from ..kernels import select

            select.trace_for(self, name)
        return name

    def _available_backend(self, name: str | None) -> str:
        name = super().checked_backend(name)
        if name == "cupy":
            from ..kernels import select

            select.require(name)
        return name

    def _fused(self, x_seq: Tensor, store_v_seq: bool) -> tuple[Tensor, Tensor | None] | None:
        """Outputs and potentials `[T, N, *]` by the fused backend, or None if torch is to run."""
        from ..kernels import run  # most programs never need it

        call = run.call_for(self, x_seq)
        if call is None:
            return None
        outputs, v_seq, last = run.run_sequence(self, call, x_seq, store_v_seq)
        self._memories.update(last)
        return outputs, v_seq

    @_constant_when_compiled
    def _watched_values(self) -> tuple[tuple[str, Any], ...]:
        from ..kernels import select

        return select.watched_values(self)

    @_constant_when_compiled
    def _constant_call(self, device: str, dtype: torch.dtype) -> Any:
        from ..kernels import select

        return select.call_of(self, device, dtype)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_calls", None)  # made anew when needed
        return state

    def single_step_forward(self, x: Tensor) -> Tensor:
        if self._backend != "torch":
            fused = self._fused(x.unsqueeze(0), store_v_seq=False)
            if fused is not None:
                return fused[0].squeeze(0)
        states = self._fitting_states(x.shape, x)
        if self._overrides_hooks:
            self._store(states)
            return self._hooked_step(x)
        spike, *states = self.step(x, *states)
        self._store(states)
        return spike

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        if x_seq.dim() == 0 or x_seq.shape[0] == 0:
            raise ValueError(
                f"{type(self).__name__}: expected a sequence [T, N, *] with T > 0, "
                f"got shape {tuple(x_seq.shape)}"
            )
        if self._backend != "torch":
            fused = self._fused(x_seq, self.store_v_seq)
            if fused is not None:
                if self.store_v_seq:
                    self.v_seq = fused[1]
                return fused[0]
        states = self._fitting_states(x_seq.shape[1:], x_seq)
        spikes, potentials = [], []
        if self._overrides_hooks:
            self._store(states)
            for x in x_seq.unbind(0):
                spikes.append(self._hooked_step(x))
                potentials.append(self.v)
        else:
            for x in x_seq.unbind(0):
                spike, *states = self.step(x, *states)
                spikes.append(spike)
                potentials.append(states[0])
            self._store(states)
        if self.store_v_seq:
            self.v_seq = torch.stack(potentials)
        return torch.stack(spikes)

    def _hooked_step(self, x: Tensor) -> Tensor:
        self.neuronal_charge(x)
        spike = self.neuronal_fire()
        self.neuronal_reset(spike)
        return spike

    def _store(self, states: Iterable[Tensor]) -> None:
        self._memories.update(zip(self.states, states, strict=True))

    def _fitting_states(self, shape: torch.Size, x: Tensor) -> list[Tensor]:
        return [self._fitting_state(self._memories[name], shape, x) for name in self.states]

    def _fitting_state(
        self, v: Any, shape: torch.Size, x: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The state as a tensor of the input's shape `[N, *]` and device.

        Its dtype is that of the input, unless another is asked for.
        """
        if not shape:
            raise ValueError(
                f"{type(self).__name__}: expected an input [N, *] per step, got a single number"
            )
        if dtype is None:
            dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        if not isinstance(v, Tensor):
            return torch.full(shape, v, dtype=dtype, device=x.device)
        if v.shape != shape:
            raise ValueError(
                f"{type(self).__name__}: input {tuple(shape)} does not match the state "
                f"{tuple(v.shape)} of the previous step; call reset() between sequences"
            )
        return v.to(device=x.device, dtype=dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BaseNode:
        # as a parameter or a buffer it is moved by torch
        threshold = self.__dict__.get("v_threshold")
        if isinstance(threshold, Tensor):
            self.v_threshold = fn(threshold)
        super()._apply(fn, recurse)
        return self

    def materialize_states(
        self, inputs: Any, states: Any, step_mode: str | None = None
    ) -> tuple[Tensor, ...]:
        x = inputs[0]
        shape = x.shape if (step_mode or self.step_mode) == "s" else x.shape[1:]
        return tuple(self._fitting_state(state, shape, x) for state in states)

    def reset(self) -> None:
        super().reset()
        self.v_seq = None

    def detach(self) -> None:
        super().detach()
        if self.v_seq is not None:
            self.v_seq = self.v_seq.detach()

    def extra_repr(self) -> str:
        threshold = self.v_threshold
        if isinstance(threshold, Tensor):
            threshold = f"tensor{tuple(threshold.shape)}"
        return (
            f"v_threshold={threshold}, v_reset={self.v_reset}, "
            f"detach_reset={self.detach_reset}, {super().extra_repr()}"
        )
