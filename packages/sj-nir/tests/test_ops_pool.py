from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sj_layers as layer
import sj_nir
from sj_nir import modules


@pytest.mark.parametrize(
    ("module", "shape", "kind"),
    [
        (nn.AvgPool2d(2), (2, 7, 9), nir.AvgPool2d),
        (layer.AvgPool2d((3, 2), stride=1, padding=1), (2, 7, 9), nir.AvgPool2d),
        (nn.AvgPool2d(3, padding=0, count_include_pad=False), (2, 7, 9), nir.AvgPool2d),
        (nn.AvgPool2d(2, ceil_mode=True), (2, 8, 6), nir.AvgPool2d),
        (nn.AvgPool2d(2, divisor_override=4), (2, 8, 6), nir.AvgPool2d),
        (nn.AvgPool2d((2, 3), divisor_override=1, padding=(1, 0)), (2, 8, 6), nir.SumPool2d),
        (nn.AvgPool2d(1), (2, 8, 6), nir.AvgPool2d),
        (nn.LPPool2d(1, (2, 3), stride=1), (2, 8, 6), nir.SumPool2d),
        (nn.LPPool2d(1, 2), (2, 8, 6), nir.SumPool2d),
        (nn.AdaptiveAvgPool2d((4, 2)), (2, 8, 6), nir.AvgPool2d),
        (layer.AdaptiveAvgPool2d(2), (2, 5, 6), nir.AvgPool2d),
        (nn.AdaptiveAvgPool2d(1), (2, 5, 6), nir.AvgPool2d),
        (nn.AdaptiveAvgPool2d((None, 3)), (2, 5, 6), nir.AvgPool2d),
        (modules.WidePool2d((2, 2), (1, 1), (2, 3)), (2, 5, 6), nir.AvgPool2d),
    ],
)
def test_pooling_comes_back_equal(node_of, module, shape, kind):
    assert type(node_of(module, *shape)) is kind
    x = torch.randn(3, *shape)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(module, x))
    torch.testing.assert_close(back(x)[0], module(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("padding", [0, (1, 0), (2, 5)])
@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_windows_over_zeros(graph_of, kind, padding, step_mode):
    node = kind(np.array([2, 3]), np.array([1, 2]), np.array(padding))
    net = sj_nir.import_from_nir(graph_of(node, 2, 5, 7), step_mode=step_mode)
    x = torch.randn(4, 3, 2, 5, 7)
    high, wide = (padding, padding) if isinstance(padding, int) else padding
    padded = F.pad(x, (wide, wide, high, high))
    windows = padded.unfold(3, 2, 1).unfold(4, 3, 2)
    expected = windows.sum((-1, -2)) if kind is nir.SumPool2d else windows.mean((-1, -2))
    y = net(x)[0] if step_mode == "m" else torch.stack([net(step)[0] for step in x])
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 5), r"ceil_mode=True gives \(3, 3\)"),
        (nn.AvgPool2d(2, divisor_override=3), (1, 4, 4), "divisor_override=3"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), (1, 5, 5), "count_include_pad"),
        (nn.LPPool2d(2, 2), (1, 4, 4), "norm_type=2"),
        (nn.AdaptiveAvgPool2d(3), (1, 5, 5), "from size 5 to 3 its windows differ"),
        (nn.AvgPool2d(2), (4, 4), r"shape \(4, 4\), expected \(C, H, W\)"),
    ],
)
def test_options_that_nir_cannot_say(node_of, module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        node_of(module, *shape)
