"""A NIR graph as a picture."""

from .svg import to_svg

__all__ = ["to_svg"]
