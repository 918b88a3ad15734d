from __future__ import annotations

import pytest
import torch

from sj_models.necks import NonLinearNeck
from sj_neurons import functional


def test_layers_in_order():
    neck = NonLinearNeck(6, 5, 4, num_layers=3, with_avg_pool=False).eval()
    x = torch.rand(2, 6)
    parts = dict(neck.named_children())
    y = parts["bn0"](parts["fc0"](x))
    y = parts["bn1"](parts["fc1"](y.relu()))
    y = parts["bn2"](parts["fc2"](y.relu()))
    torch.testing.assert_close(neck((x,))[0], y)


def test_pooling_and_time():
    neck = NonLinearNeck(6, 5, 4).eval()
    x = torch.rand(3, 2, 6, 4, 4)
    (y,) = neck((x,))
    assert y.shape == (3, 2, 4)
    torch.testing.assert_close(y, torch.stack([neck((step,))[0] for step in x]))
    functional.set_step_mode(neck, "m")
    torch.testing.assert_close(neck((x[0],))[0], y[0])


def test_last_norm_and_biases():
    keys = set(NonLinearNeck(6, 5, 4, with_last_bn=False, with_last_bias=True).state_dict())
    assert {"fc1.weight", "fc1.bias"} <= keys
    assert not any(key.startswith("bn1") or key == "fc0.bias" for key in keys)
    keys = set(NonLinearNeck(6, 5, 4, with_bias=True, with_last_bn_affine=False).state_dict())
    assert "fc0.bias" in keys
    assert {"bn0.weight", "bn1.running_mean"} <= keys
    assert "bn1.weight" not in keys


def test_errors():
    with pytest.raises(ValueError, match="num_layers must be 2 or more, got 1"):
        NonLinearNeck(6, 5, 4, num_layers=1)
    neck = NonLinearNeck(6, 5, 4)
    x = torch.rand(2, 6, 4, 4)
    with pytest.raises(TypeError, match="expected a tuple, got Tensor"):
        neck(x)
    with pytest.raises(ValueError, match="expected one feature, got 2"):
        neck((x, x))
