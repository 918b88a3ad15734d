"""The command ``sj-nir``: info, check, run, diff, convert, draw."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
