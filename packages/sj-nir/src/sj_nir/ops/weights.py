"""Weights between tensors and arrays, and modules built without touching the random state."""

from __future__ import annotations

from typing import Any, TypeVar

import nir
import numpy as np
import torch
from torch import Tensor, nn

from ..errors import NotSupportedError
from ..fields import parameter
from .table import ImportOptions

__all__ = ["copied", "finite", "with_weights"]

M = TypeVar("M", bound=nn.Module)


def copied(weight: Tensor) -> np.ndarray:
    """The tensor as an array of its own; numpy has no bfloat16, which float32 holds exactly."""
    values = weight.detach().cpu()
    values = values.float() if values.dtype == torch.bfloat16 else values
    return values.numpy().copy()


def finite(weight: Tensor, field: str) -> np.ndarray:
    """:func:`copied`, for the field of a node.

    Raises:
        NotSupportedError: NaN or infinity among the values.
    """
    values = copied(weight)
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise NotSupportedError(f"{field}: {bad} of {values.size} values are NaN or infinite")
    return values


def with_weights(
    module_class: type[M],
    node: nir.NIRNode,
    name: str,
    options: ImportOptions,
    *args: Any,
    **kwargs: Any,
) -> M:
    """`module_class(*args, **kwargs)` holding the node's `weight` and, if it has one, `bias`."""
    # not on the meta device, whose first use loads sympy and takes seconds
    with torch.random.fork_rng([]):
        module = module_class(*args, **kwargs, step_mode=options.step_mode)
    module.to(device=options.device, dtype=options.dtype)
    with torch.no_grad():
        for field, tensor in module.named_parameters():
            tensor.copy_(parameter(node, name, field, options.device, options.dtype))
    return module
