"""Query strings to checked values."""

from __future__ import annotations

import math
from urllib.parse import parse_qsl

__all__ = ["Query"]

_MOST_FIELDS = 12
_MOST_DIGITS = 12


class Query:
    """The fields of one query string, each of which must be known and given at most once.

    Args:
        text: what follows the question mark.
        known: names of the fields that there are.

    Raises:
        ValueError: not a query string, or unknown, repeated or too many fields.
    """

    def __init__(self, text: str, known: frozenset[str]) -> None:
        pairs = _pairs(text)
        self._fields = dict(pairs)
        if len(self._fields) < len(pairs):
            raise ValueError("a parameter is given twice")
        for name in self._fields:
            if name not in known:
                names = ", ".join(sorted(known)) or "none"
                raise ValueError(f"unknown parameter {name[:40]!r}; known are {names}")

    def text(self, name: str, default: str) -> str:
        return self._fields.get(name, default)

    def whole(self, name: str, default: int | None = None, *, least: int, most: int) -> int:
        """A whole number; without a default it must be given."""
        text = self._given(name, default)
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
            raise ValueError(f"{name} must be a whole number, got {text[:40]!r}")
        return int(_between(name, int(text), least, most))

    def real(self, name: str, default: float, *, least: float, most: float) -> float:
        text = self._given(name, default)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a number, got {text[:40]!r}")
        return _between(name, value, least, most)

    def _given(self, name: str, default: float | None) -> str:
        if name in self._fields:
            return self._fields[name]
        if default is None:
            raise ValueError(f"parameter {name} is missing")
        return str(default)


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise ValueError(f"not a query string: {error}") from error


def _between(name: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ValueError(f"{name} must be between {least} and {most}, got {value}")
    return value
