"""A look at shapes."""

import logging

import torch
from torch import nn

from sj_layers.print_shape import PrintShapeModule


def test_shapes_go_to_the_log_and_the_input_goes_on(caplog, capsys):
    x = torch.rand(2, 3)
    with caplog.at_level(logging.DEBUG, logger="sj_layers.print_shape"):
        assert nn.Sequential(PrintShapeModule("after conv"))(x) is x
    assert caplog.messages == ["after conv torch.Size([2, 3])"]
    assert capsys.readouterr().out == ""


def test_repr_tells_the_text():
    assert repr(PrintShapeModule()) == "PrintShapeModule(ext_str=PrintShapeModule)"
