"""Optional packages, imported at the moment they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingExtraError

__all__ = ["require"]


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, which the extra ``extra`` of sj-train installs.

    Raises:
        MissingExtraError: (an ``ImportError``) the package is absent; names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A broken dependency of an installed package must not be reported as a missing extra.
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is not installed: pip install 'sj-train[{extra}]'"
        ) from error
