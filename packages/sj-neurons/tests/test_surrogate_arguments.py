"""What the constructors of surrogates refuse, and with which words."""

import math

import pytest

from sj_neurons import surrogate


@pytest.mark.parametrize(
    ("make_it", "error", "text"),
    [
        (lambda: surrogate.SoftSign(0.0), ValueError, r"SoftSign: alpha .* greater than 0.* 0\.0"),
        (lambda: surrogate.Sigmoid("4"), TypeError, "Sigmoid: alpha must be a number, got '4'"),
        (lambda: surrogate.ATan(True), TypeError, "ATan: alpha must be a number, got True"),
        (lambda: surrogate.Erf(math.nan), ValueError, "Erf: alpha .* got nan"),
        (lambda: surrogate.Rect(math.inf), ValueError, "Rect: alpha .* got inf"),
        (lambda: surrogate.QPseudoSpike(1), ValueError, "QPseudoSpike: alpha .* greater than 1"),
        (lambda: surrogate.PiecewiseLeakyReLU(w=-1), ValueError, "w must be .* got -1"),
        (lambda: surrogate.PiecewiseLeakyReLU(c=math.nan), ValueError, "c must be a finite number"),
        (lambda: surrogate.S2NN(beta=0), ValueError, "S2NN: beta"),
        (lambda: surrogate.SquarewaveFourierSeries(2.0), TypeError, "n must be a whole number"),
        (lambda: surrogate.SquarewaveFourierSeries(1), ValueError, "n must be at least 2, got 1"),
        (lambda: surrogate.SquarewaveFourierSeries(2, 0), ValueError, "T_period"),
        (lambda: surrogate.MultiLevelSpikeCount(4.0), TypeError, "whole number, got 4.0"),
        (lambda: surrogate.MultiLevelSpikeCount(0), ValueError, "at least 1, got 0"),
        (lambda: surrogate.MultiLevelSpikeCount(4, True, 2.0), TypeError, "grad_window"),
        (lambda: surrogate.MultiLevelSpikeCount(4, True, (1, "2")), TypeError, "grad_window"),
        (lambda: surrogate.MultiLevelSpikeCount(4, True, (2, 1)), ValueError, "grad_window"),
        (lambda: surrogate.Sigmoid(4.0, 1), TypeError, "spiking must be True or False, got 1"),
        (lambda: surrogate.ATan().set_spiking_mode(None), TypeError, "spiking must be"),
    ],
)
def test_bad_arguments_are_named(make_it, error, text):
    with pytest.raises(error, match=text):
        make_it()


def test_whole_numbers_are_accepted_where_floats_are_meant():
    assert repr(surrogate.ATan(2)) == "ATan(alpha=2.0, spiking=True)"
