"""The command ``sj-train``: run, evaluate, export, plot, summary."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
