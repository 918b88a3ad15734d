"""Models of sj_models go through a NIR graph and come back."""

from __future__ import annotations

import pytest
import torch

import sj_nir
from sj_models.sew_resnet import BasicBlock, SEWResNet
from sj_neurons import functional, neuron


def sew(connect: str) -> SEWResNet:
    torch.manual_seed(0)
    net = SEWResNet(
        BasicBlock,
        [1, 1, 1, 1],
        num_classes=4,
        spiking_neuron=neuron.LIFNode,
        small_images=True,
        in_channels=2,
        cnf=connect,  # pyright: ignore[reportArgumentType]
    ).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.fill_(0.03)
    return net


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_sew_resnet_keeps_its_outputs(step_mode, tmp_path):
    net, x_seq = sew("ADD"), torch.rand(2, 2, 2, 8, 8) * 2
    functional.set_step_mode(net, step_mode)
    example = x_seq if step_mode == "m" else x_seq[0]
    sj_nir.export_to_nir(net, example, tmp_path / "net.nir")
    back = sj_nir.import_from_nir(tmp_path / "net.nir", step_mode=step_mode)
    with torch.no_grad():
        expected = net(example)
        assert expected.abs().sum() > 0
        torch.testing.assert_close(back(example)[0], expected, rtol=1e-5, atol=1e-5)


def test_products_of_spikes_are_refused():
    with pytest.raises(sj_nir.NotSupportedError, match="multiply outputs of nodes"):
        sj_nir.export_to_nir(sew("AND"), torch.rand(1, 2, 8, 8))
