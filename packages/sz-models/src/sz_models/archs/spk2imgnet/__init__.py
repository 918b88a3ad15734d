"""Spk2ImgNet: windows of a stream aligned to the middle one by deformable convolutions."""

from .network import SpikeNet

__all__ = ["SpikeNet"]
