"""The check of gradients written by hand."""

import math

import pytest
import torch

from sj_neurons import surrogate


def test_right_gradients_pass_and_the_error_is_returned():
    cls = surrogate.PiecewiseLeakyReLU
    assert surrogate.check_manual_grad(cls.primitive_function, cls.spiking_function, 0.7, 0.1) == 0
    error = surrogate.check_manual_grad(surrogate.S2NN(spiking=False), surrogate.S2NN())
    assert 0 < error <= 1.1e-5


def test_wrong_gradients_are_refused_where_they_differ_most():
    with pytest.raises(ValueError, match=r"manual gradient is .* at x = -?0\.00\d+, where"):
        surrogate.check_manual_grad(surrogate.ATan(2.0, spiking=False), surrogate.ATan(2.5))
    with pytest.raises(ValueError, match="nan"):
        surrogate.check_manual_grad(torch.sigmoid, lambda x: x * math.nan)
    loose = surrogate.check_manual_grad(
        surrogate.ATan(2.0, spiking=False), surrogate.ATan(2.5), tolerance=1.0
    )
    assert loose == pytest.approx(0.25, abs=1e-3)
