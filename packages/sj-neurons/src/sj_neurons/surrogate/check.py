"""Is a gradient written by hand the gradient of the primitive?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["check_manual_grad"]


def check_manual_grad(
    primitive: Callable[..., Tensor],
    spiking: Callable[..., Tensor],
    *parameters: float,
    tolerance: float = 1e-4,
) -> float:
    """Compare the gradient of a spike with the gradient of its primitive, in float64 on [-2, 2].

    The grid of 1024 points leaves out 0 and other round numbers, where surrogates have kinks.

    Args:
        primitive: smooth function g(x, *parameters), differentiated by autograd.
        spiking: spike function of the same arguments, with its own backward pass.
        parameters: what both take after x.
        tolerance: largest difference that passes.

    Returns:
        The largest difference between the two gradients.

    Raises:
        ValueError: a difference is above `tolerance`, or not a number.

    Example:
        >>> from sj_neurons import surrogate
        >>> f = surrogate.ATan
        >>> check_manual_grad(f.primitive_function, f.spiking_function, 2.0) < 1e-12
        True
    """
    x = torch.linspace(-2, 2, 1024, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(primitive(x, *parameters).sum(), x)
    (manual,) = torch.autograd.grad(spiking(x, *parameters).sum(), x)
    error = (manual - expected).abs()
    # a NaN is the maximum of any tensor that holds one
    worst = int(error.argmax())
    if not error[worst] <= tolerance:
        raise ValueError(
            f"the manual gradient is {manual[worst].item():.6g} at x = {x[worst].item():.6g}, "
            f"where the gradient of the primitive is {expected[worst].item():.6g}"
        )
    return error[worst].item()
