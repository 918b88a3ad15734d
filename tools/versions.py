"""Release numbers and the ranges that name them, enough for our own packages."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["LEVELS", "Version", "contains", "range_for"]

LEVELS = ("patch", "minor", "major")
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*([0-9]+(?:\.[0-9]+)*)\s*")


@dataclass(frozen=True, order=True)
class Version:
    """A release ``major.minor.patch``; missing places read as 0."""

    major: int
    minor: int = 0
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads ``"0.1"`` or ``"0.1.2"``; anything else is a ValueError."""
        if not re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}", text):
            raise ValueError(f"version must look like 1.2.3, got {text!r}")
        return cls(*(int(part) for part in text.split(".")))

    def bump(self, level: str) -> Version:
        """The next version: ``level`` is patch, minor or major."""
        if level == "patch":
            return Version(self.major, self.minor, self.patch + 1)
        if level == "minor":
            return Version(self.major, self.minor + 1)
        if level == "major":
            return Version(self.major + 1)
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")

    def may_break(self, level: str) -> bool:
        """Whether a step of ``level`` from here may remove public names (0.x: minor does)."""
        return level == "major" or (level == "minor" and self.major == 0)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def contains(specifier: str, version: Version) -> bool:
    """Whether ``version`` satisfies ``specifier``, e.g. ``">=0.1,<0.2"``; empty allows all."""
    for clause in filter(None, (part.strip() for part in specifier.split(","))):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"cannot read the range {specifier!r}: write it like >=0.1,<0.2")
        operator, bound = match[1], Version.parse(match[2])
        holds = {
            ">=": version >= bound,
            "<=": version <= bound,
            "==": version == bound,
            "!=": version != bound,
            "<": version < bound,
            ">": version > bound,
        }
        if not holds[operator]:
            return False
    return True


def range_for(version: Version) -> str:
    """The range a dependant declares: one minor wide while 0.x, one major wide after."""
    if version.major == 0:
        return f">=0.{version.minor},<0.{version.minor + 1}"
    return f">={version.major}.{version.minor},<{version.major + 1}"
