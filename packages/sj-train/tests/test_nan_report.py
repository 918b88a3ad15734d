from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from sj_train.nan_report import origin_of_non_finite as origin


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


class Pair(nn.Module):
    def forward(self, x):
        return {"a": (x, [x / 0])}


def test_the_first_broken_layer_is_named():
    net = nn.Sequential(nn.Identity(), nn.Sequential(Root()), nn.Identity())
    assert origin(net, -torch.ones(1)) == "it began in 1.0 (Root); its input was finite"
    assert not net[1][0]._forward_hooks


def test_operations_between_layers():
    class Divided(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x):
            return self.layer(x / 0)

    assert origin(Divided(), torch.ones(1)).startswith("it began in layer (Identity); its input is")


@pytest.mark.parametrize(
    ("net", "x", "text"),
    [
        (nn.Identity(), torch.tensor([torch.nan]), "the input of the model is not finite"),
        (Pair(), torch.ones(1), r"it began in the model \(Pair\)"),
        (nn.Identity(), torch.ones(1), "all layers are finite: it began in the criterion"),
    ],
)
def test_other_origins(net, x, text):

    assert re.match(text, origin(net, x))


def test_broken_parameters_are_named():
    net = nn.Linear(1, 1)
    nn.init.constant_(net.bias, torch.nan)
    assert origin(net, torch.ones(1, 1)).startswith("the parameter bias is not finite")
