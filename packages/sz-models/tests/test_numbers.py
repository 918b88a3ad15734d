from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sz_models._numbers import check_positive, whole


@pytest.mark.parametrize("value", [7, np.uint8(7), torch.tensor(7)], ids=repr)
def test_whole_numbers_of_every_kind(value):
    assert whole("step", value) == 7
    assert type(whole("step", value)) is int


@pytest.mark.parametrize("value", [7.0, "7", None, [7], math.nan], ids=repr)
def test_other_values_are_no_whole_numbers(value):
    with pytest.raises(TypeError, match="step must be a whole number, got"):
        whole("step", value)


@pytest.mark.parametrize("value", [1e-9, 3, np.float32(0.5), torch.tensor(0.6)], ids=repr)
def test_positive_numbers(value):
    check_positive(rate=value)


@pytest.mark.parametrize("value", [0, -1, -0.0, math.nan, math.inf], ids=repr)
def test_other_numbers_are_refused(value):
    with pytest.raises(ValueError, match="sigma must be a positive number, got"):
        check_positive(rate=1, sigma=value)


@pytest.mark.parametrize(
    "value", [None, [1.0], "fast", "1", b"1", 10**400], ids=lambda v: str(v)[:5]
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="rate must be a positive number, got"):
        check_positive(rate=value)
