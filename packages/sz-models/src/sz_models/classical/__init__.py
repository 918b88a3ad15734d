"""Reconstructions without learned parameters.

With key frame k, window w and h = w // 2:

    TFP    I = (S[k-h] + ... + S[k+h]) / (2h + 1)
    TFI    I = 1 / (r - l),  l = last spike in [k-h+1, k],  r = first spike in [k+1, k+h];
           1 / (2h) where either is missing
    GTFP   I = clip(sum_k' w[k'] S[k'] / rate, 0, 1),  w[k'] ~ exp(-((k' - k) / sigma)^2 / 2)
    ISI    I = (n - 1) / (g - f),  f and g = first and last of the n spikes in [k-h, k+h];
           1 / (2h) where n < 2
    TFSTP  the light whose steady state a synapse with short-term plasticity shows at k

Frames k-h ... k+h must lie in the stream.  One file per method: ``tfp(stream, key_frame)`` makes
one image from ``[T, H, W]`` or ``[B, T, H, W]``, ``tfp_video(stream)`` those of all key frames.
"""

from __future__ import annotations

from .gtfp import gtfp, gtfp_video
from .isi import isi, isi_video
from .tfi import tfi, tfi_video
from .tfp import tfp, tfp_video
from .tfstp import ShortTermPlasticity, equalize, tfstp, tfstp_video

__all__ = [
    "ShortTermPlasticity",
    "equalize",
    "gtfp",
    "gtfp_video",
    "isi",
    "isi_video",
    "tfi",
    "tfi_video",
    "tfp",
    "tfp_video",
    "tfstp",
    "tfstp_video",
]
