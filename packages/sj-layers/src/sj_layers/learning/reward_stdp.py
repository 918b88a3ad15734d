"""Learning by spike timing and reward; the equations are those of
`sj_layers.functional.reward_stdp`.

Source: Florian, "Reinforcement learning through modulation of spike-timing-dependent synaptic
plasticity", Neural Computation 2007.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..functional._plasticity import (
    WeightFunction,
    checked_tau,
    exponential_decay,
    identity,
    linear_correlation,
    traces_of,
    weight_change,
)
from ..functional.reward_stdp import eligibility_of, mstdpet_reward_step
from ._learner import Learner

__all__ = ["MSTDPETLearner", "MSTDPLearner"]


class MSTDPLearner(Learner):
    """Reward-modulated STDP of a linear layer, for a batch of samples with a reward each.

    A reward pays for the eligibility of the step before, kept in the memory `eligibility`
    `[N, out, in]`. Reset the learner together with the net.

    Args:
        step_mode: step mode of the net, `'s'` or `'m'`.
        batch_size: N.
        synapse: the linear layer that learns.
        sn: the spiking neurons behind it.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: functions of the weight: how far it yields to an input spike and to an output
            spike; the weight itself by default.

    Raises:
        NotImplementedError: another kind of layer.
        ValueError: a time constant or batch size out of range, or an unknown step mode.

    Example:
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Linear(4, 2), neuron.IFNode())
        >>> learner = MSTDPLearner("s", 3, net[0], net[1], tau_pre=2.0, tau_post=2.0)
        >>> for reward in torch.rand(5, 3):   # T=5, N=3
        ...     _ = net(torch.rand(3, 4))
        ...     learner.step(reward)   # as a gradient
        >>> net[0].weight.grad.shape, learner.eligibility.shape
        (torch.Size([2, 4]), torch.Size([3, 2, 4]))
    """

    def __init__(
        self,
        step_mode: str,
        batch_size: int,
        synapse: nn.Linear,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        f_pre: WeightFunction = identity,
        f_post: WeightFunction = identity,
    ) -> None:
        super().__init__(step_mode, synapse, sn, tau_pre, tau_post, f_pre, f_post, nn.Linear)
        if batch_size < 1:
            raise ValueError(f"MSTDPLearner: batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.register_memory("eligibility", None)

    @torch.no_grad()
    def step(
        self, reward: Tensor | float, on_grad: bool = True, scale: float = 1.0
    ) -> Tensor | None:
        """Learn from a reward and all calls of the net since the last step.

        Args:
            reward: one number, one per sample `[N]`, or one per step and sample `[T, N]`.
            on_grad, scale: see :meth:`STDPLearner.step`.

        Returns:
            The change in the shape of the weight; None with `on_grad`, or if there was no call.

        Raises:
            RuntimeError: synapse and neurons were not called equally often.
            ValueError: spikes or rewards that do not fit the batch size or each other, the traces
                or the step mode.
        """
        spikes = self.taken_spikes()
        if spikes is None:
            return None
        weight = self.synapse.weight.detach()
        pre, post = (self._batched(x.to(weight)) for x in spikes)
        r = self._rewards(reward, weight, pre.shape[0])
        tr_pre = traces_of(pre, self.trace_pre, self.tau_pre, exponential_decay)
        tr_post = traces_of(post, self.trace_post, self.tau_post, exponential_decay)
        self.trace_pre, self.trace_post = tr_pre[-1], tr_post[-1]

        delta_w = torch.zeros_like(weight)
        if self.eligibility is not None:
            delta_w += torch.einsum("n,noi->oi", r[0], self.eligibility.to(weight))
        later = r[1:].unsqueeze(-1)  # it pays for all steps but the last
        paid = post[:-1] * later, tr_post[:-1] * later
        rule = (weight, linear_correlation(weight), self.f_pre, self.f_post)
        delta_w += weight_change((pre[:-1], tr_pre[:-1]), paid, *rule)
        self.eligibility = eligibility_of(
            (pre[-1], tr_pre[-1]), (post[-1], tr_post[-1]), weight, self.f_pre, self.f_post
        )
        return self.deliver(delta_w, on_grad, scale)

    def _batched(self, spike_seq: Tensor) -> Tensor:
        if spike_seq.dim() == 2 and self.batch_size == 1:
            spike_seq = spike_seq.unsqueeze(1)
        if spike_seq.dim() != 3 or spike_seq.shape[1] != self.batch_size:
            raise ValueError(
                f"MSTDPLearner: made for batch_size={self.batch_size}, so that spikes of a step "
                f"are [{self.batch_size}, features], got {list(spike_seq.shape[1:])}"
            )
        return spike_seq

    def _rewards(self, reward: Tensor | float, weight: Tensor, steps: int) -> Tensor:
        r = torch.as_tensor(reward, dtype=weight.dtype, device=weight.device)
        try:
            return r.expand(steps, self.batch_size)
        except RuntimeError as error:
            raise ValueError(
                f"MSTDPLearner: expected a reward as a number, [{self.batch_size}] or "
                f"[{steps}, {self.batch_size}], got {list(r.shape)}"
            ) from error


class MSTDPETLearner(Learner):
    """Reward-modulated STDP with eligibility trace of a linear layer, for a single sample.

    A reward pays for the trace `trace_e` `[out, in]` of the eligibilities up to the step before.
    Reset the learner together with the net.

    Args:
        step_mode: step mode of the net, `'s'` or `'m'`.
        synapse: the linear layer that learns.
        sn: the spiking neurons behind it.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        tau_trace: time constant of the trace of the eligibility in steps, greater than 0.
        f_pre, f_post: functions of the weight: how far it yields to an input spike and to an output
            spike; the weight itself by default.

    Raises:
        NotImplementedError: another kind of layer.
        ValueError: a time constant out of range, or an unknown step mode.

    Example:
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Linear(4, 2), neuron.IFNode())
        >>> learner = MSTDPETLearner("s", net[0], net[1], 2.0, 2.0, tau_trace=10.0)
        >>> for reward in (0.0, 0.0, 1.0):
        ...     _ = net(torch.rand(4))
        ...     learner.step(reward)   # as a gradient
        >>> learner.trace_e.shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        step_mode: str,
        synapse: nn.Linear,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        tau_trace: float,
        f_pre: WeightFunction = identity,
        f_post: WeightFunction = identity,
    ) -> None:
        super().__init__(step_mode, synapse, sn, tau_pre, tau_post, f_pre, f_post, nn.Linear)
        self.tau_trace = checked_tau("tau_trace", tau_trace)
        self.register_memory("eligibility", None)
        self.register_memory("trace_e", None)

    @torch.no_grad()
    def step(
        self, reward: Tensor | float, on_grad: bool = True, scale: float = 1.0
    ) -> Tensor | None:
        """Learn from a reward and all calls of the net since the last step.

        Args:
            reward: one number, or one per step `[T]`.
            on_grad, scale: see :meth:`STDPLearner.step`.

        Returns:
            The change in the shape of the weight; None with `on_grad`, or if there was no call.

        Raises:
            RuntimeError: synapse and neurons were not called equally often.
            ValueError: more than one sample, or spikes or rewards that do not fit each other, the
                traces or the step mode.
        """
        spikes = self.taken_spikes()
        if spikes is None:
            return None
        weight = self.synapse.weight.detach()
        pre, post = (self._single(x.to(weight)) for x in spikes)
        rewards = self._rewards(reward, weight, pre.shape[0])
        tr_pre = traces_of(pre, self.trace_pre, self.tau_pre, exponential_decay)
        tr_post = traces_of(post, self.trace_post, self.tau_post, exponential_decay)
        self.trace_pre, self.trace_post = tr_pre[-1], tr_post[-1]

        delta_w, e, tr_e = torch.zeros_like(weight), self.eligibility, self.trace_e
        e = torch.zeros_like(weight) if e is None else e.to(weight)
        tr_e = torch.zeros_like(weight) if tr_e is None else tr_e.to(weight)
        for r, *step in zip(rewards, pre, tr_pre, post, tr_post, strict=True):
            change, tr_e = mstdpet_reward_step(r, e, tr_e, tau_trace=self.tau_trace)
            delta_w += change
            (s_pre, t_pre, s_post, t_post) = step
            e = eligibility_of((s_pre, t_pre), (s_post, t_post), weight, self.f_pre, self.f_post)
        self.eligibility, self.trace_e = e, tr_e
        return self.deliver(delta_w, on_grad, scale)

    def _single(self, spike_seq: Tensor) -> Tensor:
        if spike_seq.dim() == 3 and spike_seq.shape[1] == 1:
            spike_seq = spike_seq.squeeze(1)
        if spike_seq.dim() != 2:
            raise ValueError(
                "MSTDPETLearner: expected a single sample, spikes of a step [features] or "
                f"[1, features], got {list(spike_seq.shape[1:])}; MSTDPLearner takes batches"
            )
        return spike_seq

    def _rewards(self, reward: Tensor | float, weight: Tensor, steps: int) -> Tensor:
        r = torch.as_tensor(reward, dtype=weight.dtype, device=weight.device)
        if r.numel() not in (1, steps):
            raise ValueError(
                f"MSTDPETLearner: expected a reward as a number or [{steps}], got {list(r.shape)}"
            )
        return r.reshape(-1).expand(steps)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau_trace={self.tau_trace}"
