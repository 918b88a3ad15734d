from __future__ import annotations

import pytest
import torch

from sz_models import METHODS, build_model_name
from sz_models.archs.base import BaseNet


def test_base_has_the_published_keys_and_size():
    state = BaseNet().state_dict()
    keys = [f"seq.{i}.0.{kind}" for i in range(4) for kind in ("weight", "bias")]
    assert list(state) == [*keys, "seq.4.weight", "seq.4.bias"]
    assert sum(value.numel() for value in state.values()) == 180_705


def test_base_takes_any_number_of_frames_and_any_size():
    assert BaseNet(inDim=7)(torch.zeros(2, 7, 5, 9)).shape == (2, 1, 5, 9)


@pytest.mark.parametrize("name", METHODS)
def test_every_network_makes_one_image_per_stream(name):
    model = build_model_name(name).build_network("debug")
    generator = torch.Generator().manual_seed(0)
    stream = (torch.rand(2, model.input_length(), 8, 8, generator=generator) < 0.3).float()
    assert model(stream.to(model.device)).shape == (2, 1, 8, 8)
