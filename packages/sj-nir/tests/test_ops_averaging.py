from __future__ import annotations

import nir
import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir


@pytest.mark.parametrize(
    ("module", "shape", "kind"),
    [
        (nn.AvgPool1d(3, 2, 1), (2, 9), nir.Conv1d),
        (layer.AvgPool1d(2), (2, 9), nir.Conv1d),
        (nn.AvgPool1d(3, ceil_mode=True), (2, 9), nir.Conv1d),
        (nn.AdaptiveAvgPool1d(3), (2, 9), nir.Conv1d),
        (layer.AdaptiveAvgPool1d(1), (2, 9), nir.Conv1d),
        (layer.VotingLayer(3), (9,), nir.Linear),
        (layer.VotingLayer(4), (2, 9), nir.Linear),
    ],
)
def test_averages_come_back_equal(node_of, module, shape, kind):
    assert type(node_of(module, *shape)) is kind
    x = torch.randn(3, *shape)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(module, x))
    torch.testing.assert_close(back(x)[0], module(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.AvgPool1d(2, ceil_mode=True), (1, 5), "ceil_mode=True gives length 3"),
        (nn.AvgPool1d(3, padding=1, count_include_pad=False), (1, 5), "count_include_pad"),
        (nn.AdaptiveAvgPool1d(3), (1, 5), "from size 5 to 3"),
        (nn.AvgPool1d(2), (4,), r"shape \(4,\), expected \(C, L\)"),
    ],
)
def test_options_that_nir_cannot_say(node_of, module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        node_of(module, *shape)
