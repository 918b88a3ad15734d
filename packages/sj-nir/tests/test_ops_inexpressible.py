from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir
from sj_layers import encoding, rnn
from sj_neurons import neuron
from sj_nir import fold
from sj_nir.ops.inexpressible import _REASONS, reason_against
from sj_nir.ops.table import has_row

# Handled by the tracing of networks: looked into, left out, or not modules of a network at all.
ELSEWHERE = {
    neuron.BaseNode,
    neuron.NonSpikingBaseNode,
    layer.Dropout,
    layer.Dropout2d,
    layer.PrintShapeModule,
    layer.MultiStepContainer,
    layer.SeqToANNContainer,
    layer.StepModeContainer,
    layer.ElementWiseRecurrentContainer,
    layer.LinearRecurrentContainer,
}


def public_modules() -> list[type[nn.Module]]:
    kinds = [
        getattr(place, name) for place in (neuron, layer, rnn, encoding) for name in place.__all__
    ]
    return [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, nn.Module)]


@pytest.mark.parametrize("kind", public_modules(), ids=lambda kind: kind.__name__)
def test_every_layer_and_neuron_has_a_row_or_a_reason(kind):
    known = any(base in _REASONS for base in kind.__mro__)
    folded = kind in fold.BATCH_NORMS
    assert (kind in ELSEWHERE) + has_row(kind) + folded + known == 1


def test_subclasses_share_the_reason():
    class Tuned(neuron.KLIFNode):
        pass

    assert reason_against(Tuned()) == reason_against(neuron.KLIFNode())
    assert reason_against(nn.Linear(1, 1)) is None


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.ReLU(), (3,), r"1 \(ReLU\): NIR has no activation function"),
        (nn.MaxPool2d(2), (1, 4, 4), r"1 \(MaxPool2d\): NIR has no maximum pooling"),
        (nn.LayerNorm(3), (3,), r"1 \(LayerNorm\): NIR has no normalisation by values"),
        (neuron.KLIFNode(), (3,), r"1 \(KLIFNode\): NIR has no neuron with this charge"),
        (neuron.IzhikevichNode(), (3,), r"1 \(IzhikevichNode\): NIR has no neuron with these"),
        (layer.SynapseFilter(), (3,), r"1 \(SynapseFilter\): it decays only where no spike"),
        (layer.Upsample(scale_factor=2), (1, 4, 4), r"1 \(Upsample\): NIR has no layer that makes"),
    ],
)
def test_the_error_names_module_and_reason(module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(nn.Sequential(nn.Identity(), module), torch.rand(2, *shape))
