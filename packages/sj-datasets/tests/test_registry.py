from __future__ import annotations

import pytest

from sj_datasets.dvs128_gesture import DVS128Gesture
from sj_datasets.registry import DATASETS, dataset_class


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_can_be_imported(name):
    assert dataset_class(name).__name__ == name


def test_names_find_their_class():
    assert dataset_class("DVS128Gesture") is DVS128Gesture


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match="no dataset 'dvsgesture'; did you mean DVS128Gesture"):
        dataset_class("dvsgesture")
    with pytest.raises(ValueError, match="have: NMNIST, "):
        dataset_class("zzzzzzzz")
