from __future__ import annotations

import os
import random

import numpy as np
import torch

from sj_train import seed_worker, set_deterministic
from sj_train.seeding import rng_state, set_rng_state


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_same_seed_same_numbers():
    set_deterministic(3)
    first = draw()
    set_deterministic(3)
    assert draw() == first
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_disable_uda_leaves_the_algorithms_alone():
    set_deterministic(3, disable_uda=True)
    assert not torch.are_deterministic_algorithms_enabled()


def test_workers_take_python_and_numpy_seeds_from_torch():
    torch.manual_seed(2**40 + 5)
    seed_worker(0)
    first = draw()[:2]
    seed_worker(1)
    assert draw()[:2] == first


def test_state_round_trip_through_a_weights_only_file(tmp_path):
    state = rng_state()
    first = draw()
    torch.save(state, tmp_path / "state.pt")
    set_rng_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == first
