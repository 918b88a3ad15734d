"""A tensor as v_threshold gives every channel its own, in every family that has a threshold."""

import pytest
import torch

from sj_neurons import neuron

THRESHOLDS = (0.5, 1.5)
FAMILIES = [
    (neuron.IFNode, {}),
    (neuron.LIFNode, {"v_reset": None}),
    (neuron.ParametricLIFNode, {}),
    (neuron.QIFNode, {}),
    (neuron.EIFNode, {}),
    (neuron.IzhikevichNode, {"a": 0.2, "b": 0.3}),
    (neuron.KLIFNode, {"scale_reset": True, "v_reset": None}),
    (neuron.LIAFNode, {"act": torch.relu, "threshold_related": True}),
    (neuron.CUBALIFNode, {}),
    (neuron.ILIFNode, {}),
    (neuron.HalfThresholdIFNode, {}),
    (neuron.ActivationAwareIFNode, {"v_offset": 0.1}),
    (neuron.ComplementaryLIFNode, {}),
    (neuron.TernaryIFNode, {}),
    (neuron.TernaryLIFNode, {"v_reset": None}),
    (neuron.RAFNode, {}),
]


@pytest.mark.parametrize(("cls", "arguments"), FAMILIES, ids=lambda v: getattr(v, "__name__", ""))
def test_channels_together_equal_each_alone(cls, arguments, oracle):
    x = oracle.x_seq(10, 2, 2)
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64)
    together = cls(v_threshold=thresholds, step_mode="m", **arguments).double()
    y = together(x)
    for c, v_threshold in enumerate(THRESHOLDS):
        alone = cls(v_threshold=v_threshold, step_mode="m", **arguments).double()
        assert torch.equal(alone(x[..., c]), y[..., c])
        torch.testing.assert_close(alone.v, together.v[..., c], rtol=1e-12, atol=1e-12)
