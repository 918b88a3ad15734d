"""The neurons of NIR with parameters of their own for each neuron.

    I        v <- v + r x                                       output v
    IF       h = v + r x                                        spikes
    LI       v <- v + ((v_leak - v) + r x) / tau                output v
    LIF      h = v + ((v_leak - v) + r x) / tau                 spikes
    CubaLI   i <- i + (w_in x - i) / tau_syn
             v <- v + ((v_leak - v) + r i) / tau_mem            output v
    CubaLIF  i <- i + (w_in x - i) / tau_syn
             h = v + ((v_leak - v) + r i) / tau_mem             spikes

    spikes   s = 1 where h >= v_threshold, else 0
             hard  v <- (1 - s) h + s v_reset      soft  v <- h - s (v_threshold - v_reset)

Time is counted in steps: tau, tau_syn and tau_mem are NIR's divided by dt, and the r of I and IF is
NIR's times dt. Every parameter is a number or a tensor that broadcasts to one sample `[*]`; it
becomes an `nn.Parameter` that does not ask for a gradient until told to.

Source: Pedersen et al., "Neuromorphic intermediate representation: a unified instruction set for
interoperable brain-inspired computing", Nature Communications 2024.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons import ops
from sj_neurons.neuron import from_step
from sj_neurons.surrogate import Sigmoid, SurrogateFunction

__all__ = ["IF", "LI", "LIF", "CubaLI", "CubaLIF", "I"]

Value = float | Tensor


def _fired(
    h: Any,
    v_threshold: Any,
    v_reset: Any,
    soft_reset: bool,
    detach_reset: bool,
    surrogate_function: Any,
) -> tuple[Any, Any]:
    spike = ops.fire(h - v_threshold, surrogate_function)
    s = ops.detach(spike) if detach_reset else spike
    return spike, h - s * (v_threshold - v_reset) if soft_reset else (1.0 - s) * h + s * v_reset


def _integrate(x: Any, v: Any, r: Any) -> tuple[Any, Any]:
    v = v + r * x
    return v, v


def _integrate_and_fire(x: Any, v: Any, r: Any, **firing: Any) -> tuple[Any, Any]:
    return _fired(v + r * x, **firing)


def _leak(x: Any, v: Any, tau: Any, r: Any, v_leak: Any) -> tuple[Any, Any]:
    v = v + ((v_leak - v) + r * x) / tau
    return v, v


def _leak_and_fire(x: Any, v: Any, tau: Any, r: Any, v_leak: Any, **firing: Any) -> tuple[Any, Any]:
    return _fired(v + ((v_leak - v) + r * x) / tau, **firing)


def _current_leak(
    x: Any, v: Any, i: Any, tau_syn: Any, tau_mem: Any, r: Any, v_leak: Any, w_in: Any
) -> tuple[Any, Any, Any]:
    i = i + (w_in * x - i) / tau_syn
    v = v + ((v_leak - v) + r * i) / tau_mem
    return v, v, i


def _current_leak_and_fire(
    x: Any,
    v: Any,
    i: Any,
    tau_syn: Any,
    tau_mem: Any,
    r: Any,
    v_leak: Any,
    w_in: Any,
    **firing: Any,
) -> tuple[Any, Any, Any]:
    i = i + (w_in * x - i) / tau_syn
    return *_fired(v + ((v_leak - v) + r * i) / tau_mem, **firing), i


def _base(step: Any, values: str, *, current: bool = False, fires: bool = False) -> Any:
    """The class of a step whose parameters have these names."""
    params: dict[str, Any] = dict.fromkeys(values.split(), 1.0)
    if fires:
        params |= {
            "v_threshold": 1.0,
            "v_reset": 0.0,
            "soft_reset": False,
            "detach_reset": False,
            "surrogate_function": Sigmoid(),
        }
    states = {"v": 0.0, "i": 0.0} if current else {"v": 0.0}
    return from_step(step, states=states, params=params, name=f"{step.__name__.strip('_')}_step")


def _parameters(**values: Value) -> dict[str, nn.Parameter]:
    return {
        name: value
        if isinstance(value, nn.Parameter)
        else nn.Parameter(_floating(value), requires_grad=False)
        for name, value in values.items()
    }


def _floating(value: Value) -> Tensor:
    tensor = torch.as_tensor(value)
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


class _PerNeuron:
    """What the classes below share: a start potential for each neuron. Stands before the base."""

    def __init__(self, step_mode: str, backend: str | None, **params: Any) -> None:
        super().__init__(step_mode, backend, **params)  # pyright: ignore[reportCallIssue]

    def start_from(self, v: Value) -> None:
        """Make `v`, a number or a tensor `[*]`, the potential that :meth:`reset` restores."""
        node: Any = self
        start = v.detach().clone() if isinstance(v, Tensor) else float(v)
        if isinstance(start, Tensor) and (start == start.flatten()[0]).all():
            start = start.flatten()[0].item()
        node.set_reset_value("v", start)
        node.v = node.get_reset_value("v")

    def _fitting_state(
        self, v: Any, shape: torch.Size, x: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        if isinstance(v, Tensor) and v.dim() < len(shape):
            v = v.expand(shape)  # at rest: one sample stands for all
        return super()._fitting_state(v, shape, x, dtype)  # pyright: ignore[reportAttributeAccessIssue]

    def extra_repr(self) -> str:
        node: Any = self
        shapes = {tuple(parameter.shape) for parameter in node.parameters(recurse=False)}
        return f"neurons={max(shapes, key=len)}, {super().extra_repr()}"  # pyright: ignore[reportAttributeAccessIssue]


class _Spiking(_PerNeuron):
    """The arguments that the three spiking classes share."""

    def _firing(
        self,
        soft_reset: bool,
        detach_reset: bool,
        surrogate_function: SurrogateFunction | None,
    ) -> dict[str, Any]:
        return {
            "soft_reset": soft_reset,
            "detach_reset": detach_reset,
            "surrogate_function": Sigmoid() if surrogate_function is None else surrogate_function,
        }


class I(_PerNeuron, _base(_integrate, "r")):  # noqa: E742
    """Integrator; puts out its potential, which starts at 0.

    Args:
        r: gain per step.
        step_mode, backend: see :class:`sj_neurons.neuron.BaseNode`.
    """

    def __init__(self, r: Value, *, step_mode: str = "s", backend: str | None = None) -> None:
        super().__init__(step_mode, backend, **_parameters(r=r))


class LI(_PerNeuron, _base(_leak, "tau r v_leak")):
    """Leaky integrator; puts out its potential, which starts at `v_leak`.

    Args:
        tau: time constant in steps, at least 1.
        r: gain.
        v_leak: where the potential decays to.
        step_mode, backend: see :class:`sj_neurons.neuron.BaseNode`.
    """

    def __init__(
        self,
        tau: Value,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        *,
        step_mode: str = "s",
        backend: str | None = None,
    ) -> None:
        super().__init__(step_mode, backend, **_parameters(tau=tau, r=r, v_leak=v_leak))
        self.start_from(v_leak)


class CubaLI(_PerNeuron, _base(_current_leak, "tau_syn tau_mem r v_leak w_in", current=True)):
    """Leaky integrator of a leaky current; puts out its potential, which starts at `v_leak`.

    Args:
        tau_syn, tau_mem: time constants of current and potential in steps, at least 1.
        r: gain of the current.
        v_leak: where the potential decays to.
        w_in: gain of the input.
        step_mode, backend: see :class:`sj_neurons.neuron.BaseNode`.
    """

    def __init__(
        self,
        tau_syn: Value,
        tau_mem: Value,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        w_in: Value = 1.0,
        *,
        step_mode: str = "s",
        backend: str | None = None,
    ) -> None:
        values = _parameters(tau_syn=tau_syn, tau_mem=tau_mem, r=r, v_leak=v_leak, w_in=w_in)
        super().__init__(step_mode, backend, **values)
        self.start_from(v_leak)


class IF(_Spiking, _base(_integrate_and_fire, "r", fires=True)):
    """Integrate-and-fire; the potential starts at `v_reset`.

    Args:
        r: gain per step.
        v_threshold: potential at which a neuron fires.
        v_reset: potential after a spike; a soft reset subtracts `v_threshold - v_reset`.
        soft_reset: whether the reset subtracts.
        detach_reset, surrogate_function, step_mode, backend: see
            :class:`sj_neurons.neuron.BaseNode`.
    """

    def __init__(
        self,
        r: Value = 1.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        *,
        soft_reset: bool = False,
        detach_reset: bool = False,
        surrogate_function: SurrogateFunction | None = None,
        step_mode: str = "s",
        backend: str | None = None,
    ) -> None:
        firing = self._firing(soft_reset, detach_reset, surrogate_function)
        values = _parameters(r=r, v_threshold=v_threshold, v_reset=v_reset)
        super().__init__(step_mode, backend, **values, **firing)
        self.start_from(v_reset)


class LIF(_Spiking, _base(_leak_and_fire, "tau r v_leak", fires=True)):
    """Leaky integrate-and-fire; the potential starts at `v_reset`.

    Args:
        tau: time constant in steps, at least 1.
        r: gain.
        v_leak: where the potential decays to.
        v_threshold, v_reset, soft_reset: see :class:`IF`.
        detach_reset, surrogate_function, step_mode, backend: see
            :class:`sj_neurons.neuron.BaseNode`.

    Example:
        >>> import torch
        >>> node = LIF(tau=2.0, r=torch.tensor([1.0, 3.0]), step_mode="m")
        >>> node(torch.ones(2, 1, 2)).tolist()   # T=2, N=1
        [[[0.0, 1.0]], [[0.0, 1.0]]]
    """

    def __init__(
        self,
        tau: Value,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        *,
        soft_reset: bool = False,
        detach_reset: bool = False,
        surrogate_function: SurrogateFunction | None = None,
        step_mode: str = "s",
        backend: str | None = None,
    ) -> None:
        firing = self._firing(soft_reset, detach_reset, surrogate_function)
        values = _parameters(tau=tau, r=r, v_leak=v_leak, v_threshold=v_threshold, v_reset=v_reset)
        super().__init__(step_mode, backend, **values, **firing)
        self.start_from(v_reset)


class CubaLIF(
    _Spiking,
    _base(_current_leak_and_fire, "tau_syn tau_mem r v_leak w_in", current=True, fires=True),
):
    """Leaky integrate-and-fire of a leaky current; the potential starts at `v_reset`.

    Args:
        tau_syn, tau_mem, r, v_leak, w_in: see :class:`CubaLI`.
        v_threshold, v_reset, soft_reset: see :class:`IF`.
        detach_reset, surrogate_function, step_mode, backend: see
            :class:`sj_neurons.neuron.BaseNode`.
    """

    def __init__(
        self,
        tau_syn: Value,
        tau_mem: Value,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        w_in: Value = 1.0,
        *,
        soft_reset: bool = False,
        detach_reset: bool = False,
        surrogate_function: SurrogateFunction | None = None,
        step_mode: str = "s",
        backend: str | None = None,
    ) -> None:
        firing = self._firing(soft_reset, detach_reset, surrogate_function)
        values = _parameters(
            tau_syn=tau_syn,
            tau_mem=tau_mem,
            r=r,
            v_leak=v_leak,
            w_in=w_in,
            v_threshold=v_threshold,
            v_reset=v_reset,
        )
        super().__init__(step_mode, backend, **values, **firing)
        self.start_from(v_reset)
