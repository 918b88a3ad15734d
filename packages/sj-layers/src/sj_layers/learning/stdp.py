"""Learning by spike timing; the equations are those of `sj_layers.functional.stdp`.

Source: Morrison, Diesmann, Gerstner, "Phenomenological models of synaptic plasticity based on spike
timing", Biological Cybernetics 2008.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..functional._plasticity import WeightFunction, identity
from ._learner import Learner
from ._synapse import Synapse
from .single_step import stdp_multi_step

__all__ = ["STDPLearner"]


class STDPLearner(Learner):
    """Spike-timing-dependent plasticity of one layer.

    It watches the layer and the neurons behind it while the net runs; :meth:`step` turns what they
    did since the last step into a weight change. Reset it together with the net.

    Args:
        step_mode: step mode of the net, `'s'` or `'m'`.
        synapse: a linear layer or a 1-d or 2-d convolution without dilation and groups.
        sn: the spiking neurons behind it.
        tau_pre, tau_post: time constants of the traces in steps, greater than 0.
        f_pre, f_post: functions of the weight: how far it yields to an input spike and to an output
            spike; the weight itself by default.

    Raises:
        NotImplementedError: another kind of layer.
        ValueError: a time constant out of range, or an unknown step mode.

    Example:
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), neuron.IFNode())
        >>> _ = nn.init.ones_(net[0].weight)
        >>> learner = STDPLearner("s", net[0], net[1], tau_pre=2.0, tau_post=2.0)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> with torch.no_grad():
        ...     for x in (0.5, 0.5):
        ...         _ = net(torch.tensor([[x]]))
        >>> learner.step()   # as a gradient
        >>> optimizer.step()
        >>> round(net[0].weight.item(), 3)
        1.025
    """

    def __init__(
        self,
        step_mode: str,
        synapse: Synapse,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        f_pre: WeightFunction = identity,
        f_post: WeightFunction = identity,
    ) -> None:
        kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
        super().__init__(step_mode, synapse, sn, tau_pre, tau_post, f_pre, f_post, *kinds)

    @torch.no_grad()
    def step(self, on_grad: bool = True, scale: float = 1.0) -> Tensor | None:
        """Learn from all calls of the net since the last step.

        Args:
            on_grad: subtract the change from `synapse.weight.grad`, so that a step of plain
                gradient descent adds it to the weight, instead of returning it.
            scale: factor of the change.

        Returns:
            The change in the shape of the weight; None with `on_grad`, or if there was no call.

        Raises:
            RuntimeError: synapse and neurons were not called equally often.
            ValueError: spikes that do not fit each other, the traces or the step mode.
        """
        spikes = self.taken_spikes()
        if spikes is None:
            return None
        self.trace_pre, self.trace_post, delta_w = stdp_multi_step(
            self.synapse,
            *spikes,
            self.trace_pre,
            self.trace_post,
            self.tau_pre,
            self.tau_post,
            self.f_pre,
            self.f_post,
        )
        return self.deliver(delta_w, on_grad, scale)
