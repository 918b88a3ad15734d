"""What the plasticity rules need to know about a layer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad

from ..functional._plasticity import Correlation, convolution_correlation, linear_correlation

__all__ = ["Synapse", "checked_synapse", "correlation_of", "padded"]

Synapse = nn.Linear | nn.Conv1d | nn.Conv2d


def checked_synapse(owner: str, synapse: nn.Module, *kinds: type[nn.Module]) -> None:
    """Refuse a layer whose plasticity is not known.

    Raises:
        NotImplementedError: a layer of another kind, or a dilated or grouped convolution.
    """
    if not isinstance(synapse, kinds):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise NotImplementedError(
            f"{owner} is defined for {names}, not for {type(synapse).__name__}"
        )
    if isinstance(synapse, nn.Conv1d | nn.Conv2d):
        for name, value in (("dilation", synapse.dilation), ("groups", synapse.groups)):
            if value not in (1, (1,), (1, 1)):
                raise NotImplementedError(f"{owner} is defined for {name}=1, not for {value}")


def correlation_of(synapse: Synapse) -> Correlation:
    """Sums products of outputs and (padded) inputs in the shape of the layer's weight."""
    if isinstance(synapse, nn.Linear):
        return linear_correlation(synapse.weight.detach())
    return convolution_correlation(synapse.weight.detach(), synapse.stride)


def padded(synapse: Synapse, x: Tensor) -> Tensor:
    """`x` `[*, C, ...]` as the kernel of a convolution meets it; of a linear layer `x` itself."""
    if isinstance(synapse, nn.Linear):
        return x
    margins = _margins(synapse)
    if not any(margins):
        return x
    if synapse.padding_mode == "zeros":
        return pad(x, margins)
    inner = synapse.weight.dim() - 1  # the other modes take one batch axis
    y = pad(x.reshape(-1, *x.shape[-inner:]), margins, mode=synapse.padding_mode)
    return y.reshape(*x.shape[:-inner], *y.shape[1:])


def _margins(conv: nn.Conv1d | nn.Conv2d) -> list[int]:
    """Padding before and after each axis, the last axis first, as `pad` wants it."""
    if conv.padding == "valid":
        return []
    if conv.padding == "same":
        extents = [k - 1 for k in reversed(conv.kernel_size)]
        return [margin for extent in extents for margin in (extent // 2, extent - extent // 2)]
    return [int(margin) for margin in reversed(conv.padding) for _ in range(2)]
