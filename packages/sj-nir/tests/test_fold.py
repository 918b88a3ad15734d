from __future__ import annotations

import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir


def with_statistics(norm: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return norm.eval()


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Sequential(nn.Conv2d(2, 3, 3), with_statistics(nn.BatchNorm2d(3))), (2, 6, 6)),
        (
            nn.Sequential(
                layer.Conv2d(2, 4, 3, bias=False, groups=2), with_statistics(layer.BatchNorm2d(4))
            ),
            (2, 6, 6),
        ),
        (nn.Sequential(nn.Linear(5, 3), with_statistics(nn.BatchNorm1d(3))), (5,)),
    ],
)
def test_merged_layers_compute_the_same(net, shape):
    x = torch.rand(4, *shape)
    weight = net[0].weight.clone()
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x))
    torch.testing.assert_close(back(x)[0], net(x), rtol=1e-5, atol=1e-6)
    assert torch.equal(net[0].weight, weight)


def test_a_layer_with_two_different_norms_is_merged_twice():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.one = with_statistics(nn.BatchNorm2d(1))
            self.two = nn.BatchNorm2d(1, affine=False).eval()

        def forward(self, x):
            return self.two(self.conv(self.one(self.conv(x))))

    net, x = Twice(), torch.rand(1, 1, 2, 2)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(net, x))
    torch.testing.assert_close(back(x)[0], net(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.BatchNorm1d(3)), r"0 \(BatchNorm1d\): .*directly before"),
        (
            nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            r"1 \(BatchNorm1d\): it has no running statistics",
        ),
    ],
)
def test_norms_that_cannot_be_merged_are_named_once(net, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message) as caught:
        sj_nir.export_to_nir(net, torch.rand(2, 3))
    assert str(caught.value).count("BatchNorm1d") == 1


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)), (4, 3, 5), r"\(3, 3\).*first axis"),
        (
            nn.Sequential(layer.Linear(5, 3, step_mode="m"), nn.BatchNorm1d(3)),
            (4, 3, 5),
            "channels, which is N",
        ),
    ],
)
def test_norms_over_another_axis_of_the_same_size_are_refused(net, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(net, torch.rand(shape))
