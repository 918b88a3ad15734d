"""BSF: reconstruction that copes with the fluctuations of spikes."""

from .network import BSF

__all__ = ["BSF"]
