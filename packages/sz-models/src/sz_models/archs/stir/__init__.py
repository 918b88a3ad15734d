"""STIR: joint motion estimation and reconstruction, from coarse to fine."""

from .network import STIR

__all__ = ["STIR"]
