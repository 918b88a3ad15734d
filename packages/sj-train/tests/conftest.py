from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sj_neurons import neuron, surrogate


@pytest.fixture(autouse=True)
def restored_settings() -> Iterator[None]:
    """Deterministic mode and the cuBLAS setting do not leak into other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    yield
    if torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    torch.set_num_threads(threads)
    if before is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    """Small spiking net over ``[T, N, features]``, the same weights for the same seed."""

    def make(inputs: int = 6, classes: int = 3, seed: int = 0, hidden: int = 8) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(inputs, hidden),
            neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan()),
            nn.Dropout(0.2),
            nn.Linear(hidden, classes),
        )

    return make


@pytest.fixture
def make_loaders() -> Callable[..., tuple[DataLoader, DataLoader]]:
    """Training loader with its own shuffling generator, and test loader."""

    def make(count: int = 24, batch: int = 8, classes: int = 3) -> tuple[DataLoader, DataLoader]:
        generator = torch.Generator().manual_seed(5)
        x = torch.randn(count, 6, generator=generator)
        y = torch.arange(count) % classes
        data = TensorDataset(x + y.unsqueeze(1), y)
        shuffle = torch.Generator().manual_seed(7)
        return DataLoader(data, batch, shuffle=True, generator=shuffle), DataLoader(data, batch)

    return make


@pytest.fixture
def image_root(tmp_path: Path) -> Path:
    """``train`` and ``val`` folders of 2 classes, red and blue pictures of 12 x 10 pixels."""
    draw = random.Random(0)
    root = tmp_path / "pictures"
    for part, count in (("train", 6), ("val", 3)):
        for name, colour in (("red", (220, 20, 20)), ("blue", (20, 20, 220))):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                shade = tuple(min(255, c + draw.randrange(30)) for c in colour)
                Image.new("RGB", (12, 10), shade).save(folder / f"{index}.png")
    return root
