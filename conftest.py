"""What holds for every test here: one thread, the same random numbers, the marker `gpu`."""

from __future__ import annotations

import os
import sys

import pytest

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when torch loads; subprocesses too
    os.environ[_variable] = "1"
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    # no deadline: the first call of a test may load torch or compile
    settings.register_profile("default", deadline=None, derandomize=True, database=None)
    settings.register_profile("fuzz", deadline=None, max_examples=2000)
    settings.load_profile("default")


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Every test draws what it draws when it runs alone."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked or _cuda_available():
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU that torch can use"))


def _cuda_available() -> bool:
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return torch.cuda.is_available()
