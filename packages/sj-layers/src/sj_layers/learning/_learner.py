"""What the learners share: they watch one synapse and its neurons, and change its weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule, StepModule
from sj_neurons.monitor import InputMonitor, OutputMonitor

from ..functional._plasticity import WeightFunction, checked_tau
from ._synapse import Synapse, checked_synapse

__all__ = ["Learner"]


class Learner(MemoryModule):
    """Records what `synapse` receives and `sn` emits, without graph, until the next `step`.

    Records hold memory: call :meth:`disable` while nothing is to be learned.

    Args:
        step_mode: the step mode of the net, `'s'` or `'m'`.
        synapse: the layer that learns.
        sn: the spiking neurons behind it.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: how far a weight yields to an input spike and to an output spike.
        kinds: the layers that the rule is defined for.
    """

    synapse: Synapse

    def __init__(
        self,
        step_mode: str,
        synapse: Synapse,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        f_pre: WeightFunction,
        f_post: WeightFunction,
        *kinds: type[nn.Module],
    ) -> None:
        super().__init__()
        checked_synapse(type(self).__name__, synapse, *kinds)
        self.step_mode = step_mode
        self.tau_pre = checked_tau("tau_pre", tau_pre)
        self.tau_post = checked_tau("tau_post", tau_post)
        self.f_pre, self.f_post = f_pre, f_post
        self.synapse = synapse
        self.__dict__["sn"] = sn  # no child: resetting the learner leaves the neurons alone
        self.in_spike_monitor = InputMonitor(synapse)
        self.out_spike_monitor = OutputMonitor(sn)
        self.register_memory("trace_pre", None)
        self.register_memory("trace_post", None)

    def reset(self) -> None:
        """Forget traces and records; to be called together with `reset_net` of the net."""
        super().reset()
        self.in_spike_monitor.clear_recorded_data()
        self.out_spike_monitor.clear_recorded_data()

    def enable(self) -> None:
        """Record again after :meth:`disable`."""
        self.in_spike_monitor.enable()
        self.out_spike_monitor.enable()

    def disable(self) -> None:
        """Stop recording, such as during a test."""
        self.in_spike_monitor.disable()
        self.out_spike_monitor.disable()

    def taken_spikes(self) -> tuple[Tensor, Tensor] | None:
        """The records since the last step as sequences `[T, *]`, which are then forgotten.

        None if there are none.

        Raises:
            RuntimeError: synapse and neurons were not called equally often.
            ValueError: a step mode that is not that of the neurons, or records of several shapes.
        """
        # "" is the monitored module itself; layers inside it may be of its kind too
        pre, post = self.in_spike_monitor[""], self.out_spike_monitor[""]
        if len(pre) != len(post):
            raise RuntimeError(
                f"{type(self).__name__}: since the last step the synapse was called {len(pre)} "
                f"times and its neurons {len(post)} times; call reset() and feed the whole net"
            )
        if not pre:
            return None
        neurons = self.__dict__["sn"]
        if isinstance(neurons, StepModule) and neurons.step_mode != self.step_mode:
            raise ValueError(
                f"{type(self).__name__}: in step mode '{self.step_mode}', but its neurons are in "
                f"'{neurons.step_mode}'; set both alike"
            )
        join = torch.stack if self.step_mode == "s" else torch.cat
        steps = 0 if self.step_mode == "s" else 1
        if any(len({x.shape[steps:] for x in xs}) > 1 for xs in (pre, post)):
            raise ValueError(
                f"{type(self).__name__}: the shape of the spikes changed since the last step; "
                "call step() or reset() between batches"
            )
        sequences = join(pre), join(post)
        self.in_spike_monitor.clear_recorded_data()
        self.out_spike_monitor.clear_recorded_data()
        return sequences

    def deliver(self, delta_w: Tensor, on_grad: bool, scale: float) -> Tensor | None:
        """Hand out a weight change: for the optimizer as a gradient, or as it is."""
        delta_w = delta_w * scale
        if not on_grad:
            return delta_w
        weight = self.synapse.weight
        if weight.grad is None:
            weight.grad = -delta_w
        else:
            weight.grad -= delta_w
        return None

    def extra_repr(self) -> str:
        return f"step_mode={self.step_mode}, tau_pre={self.tau_pre}, tau_post={self.tau_post}"
