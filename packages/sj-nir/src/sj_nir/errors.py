"""What can go wrong with a graph, a file or a network. All are `ValueError`."""

from __future__ import annotations

__all__ = ["ExportError", "NIRError", "NIRFileError", "NIRGraphError", "NotSupportedError"]


class NIRError(ValueError):
    """Base of all errors of this package.

    Attributes:
        node: name of the node at fault, `None` if it is not one node.
        field: its field at fault, `None` if it is not one field.
    """

    def __init__(self, message: str, *, node: str | None = None, field: str | None = None) -> None:
        places = [("node", node), ("field", field)]
        where = ", ".join(f"{kind} {name!r}" for kind, name in places if name is not None)
        super().__init__(f"{where}: {message}" if where else message)
        self.node = node
        self.field = field


class NIRFileError(NIRError):
    """The file is not a NIR file at all, or is damaged."""


class NIRGraphError(NIRError):
    """The graph contradicts itself or NIR's definitions."""


class NotSupportedError(NIRError, NotImplementedError):
    """Valid, but outside of what NIR can express or of what is converted so far."""


class ExportError(NIRError):
    """The network could not be traced, or did not run on the example input."""
