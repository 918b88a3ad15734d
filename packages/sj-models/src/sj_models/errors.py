"""Errors of configs and of the registry: which file, which key, what is wrong, what is close."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "ConfigKeyError", "ConfigTypeError", "ConfigValueError", "did_you_mean"]


class ConfigError(Exception):
    """A mistake in a config; reads `file: key.path: message`.

    Attributes:
        source: file or command line option of the mistake, "" if there is none.
        path: dotted keys, such as `model.backbone.depth`.
        message: the rest.
    """

    def __init__(self, message: str, *, path: str = "", source: str = "") -> None:
        super().__init__(message)
        self.message, self.path, self.source = message, path, source

    def __str__(self) -> str:  # also spares the quotes that a KeyError puts around its text
        return ": ".join(part for part in (self.source, self.path, self.message) if part)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.message, self.path, self.source))


class ConfigKeyError(ConfigError, KeyError):
    """A name or key that does not exist, or exists already."""


class ConfigTypeError(ConfigError, TypeError):
    """A value of the wrong kind, or arguments that a component does not take."""


class ConfigValueError(ConfigError, ValueError):
    """A value that cannot be used, or text that cannot be read."""


def _restore(cls: type[ConfigError], message: str, path: str, source: str) -> ConfigError:
    return cls(message, path=path, source=source)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'a' or 'b'?` with up to three of the closest names, or nothing."""
    by_key = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_key, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(by_key[key]) for key in close)}?" if close else ""
