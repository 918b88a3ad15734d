"""A page in the browser that shows a recording: spikes, reconstructions, pixels over time."""

from __future__ import annotations

from .server import ViewerServer, serve

__all__ = ["ViewerServer", "serve"]
