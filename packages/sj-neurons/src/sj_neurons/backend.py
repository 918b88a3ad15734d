"""Which implementation runs the time steps of neurons.

    torch   the step, written once, on tensors: everywhere, for everything
    cpp     the same step as a C++ loop on the CPU
    cupy    the same step as a CUDA kernel
    auto    the fastest of them for the device and dtype of each input

A neuron runs on the backend that it was given and on no other; only 'auto' chooses.
"""

from __future__ import annotations

from types import TracebackType

__all__ = ["AUTO", "BACKENDS", "backends", "default_backend", "set_default_backend"]

BACKENDS = ("torch", "cpp", "cupy")
AUTO = "auto"

_default = "torch"


def default_backend() -> str:
    """The backend of neurons that are made without saying one."""
    return _default


class _PreviousDefault:
    """Restores the default on leaving a `with` block."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        global _default
        _default = self.name


def set_default_backend(name: str) -> _PreviousDefault:
    """Set the backend of neurons that are made from now on without saying one.

    Neurons that lack it keep theirs. In a `with` statement the default holds for the block.

    Args:
        name: one of `BACKENDS`, or `'auto'`.

    Raises:
        ValueError: no backend has this name.
        ImportError: the library behind it is missing.

    Example:
        >>> from sj_neurons import neuron, set_default_backend
        >>> with set_default_backend("auto"):
        ...     node = neuron.LIFNode()
        >>> node.backend, neuron.LIFNode().backend
        ('auto', 'torch')
    """
    global _default
    check_name(name)
    if name == "cupy":
        from .kernels.select import require

        require(name)
    previous = _PreviousDefault(_default)
    _default = name
    return previous


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is a backend or `'auto'`."""
    if name not in (*BACKENDS, AUTO):
        raise ValueError(f"unknown backend {name!r}; choose one of {(*BACKENDS, AUTO)}")


def backends() -> dict[str, str]:
    """Print which backends can run here, and why the others cannot.

    Returns:
        The same by name: `'available'` or the reason.
    """
    from .kernels.select import why_not

    found = {name: why_not(name) or "available" for name in BACKENDS}
    for name, state in found.items():
        print(f"{name:<6} {state}")
    return found
