from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_nir


@pytest.fixture
def node_of() -> Callable[..., Any]:
    """The node that a module is exported as, for samples of a shape."""

    def export(module: nn.Module, *shape: int, dt: float = 1e-4) -> nir.NIRNode:
        step_mode = getattr(module, "step_mode", "s")
        lead = (4, 2) if step_mode == "m" else (2,)
        return sj_nir.export_to_nir(nn.Sequential(module), torch.rand(*lead, *shape), dt=dt).nodes[
            "_0"
        ]

    return export


@pytest.fixture
def graph_of() -> Callable[..., nir.NIRGraph]:
    """A graph of one node for samples of a shape."""

    def build(node: nir.NIRNode, *shape: int) -> nir.NIRGraph:
        return nir.NIRGraph(
            {"i": nir.Input(np.array(shape)), "n": node, "o": nir.Output(None)},
            [("i", "n"), ("n", "o")],
            type_check=False,
        )

    return build


@pytest.fixture
def module_of(graph_of: Callable[..., nir.NIRGraph]) -> Callable[..., Any]:
    """The module that a node is imported as, for samples of a shape."""

    def load(node: nir.NIRNode, *shape: int, **arguments: Any) -> nn.Module:
        return sj_nir.import_from_nir(graph_of(node, *shape), **arguments).get_submodule("n")

    return load
