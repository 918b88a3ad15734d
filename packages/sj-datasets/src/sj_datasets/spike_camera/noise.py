"""What a real spike-camera pixel adds to the ideal one.

    Q[t] = Poisson(photons * (r * I[t] + d)) / photons       photon and dark-current shot noise
    V[t] = V[t-1] + Q[t]
    s[t] = (V[t] + n[t] >= m * theta),   n ~ Normal(0, read_noise * theta)
    V[t] -= m * theta * s[t], or V[t] = 0 after a spike with hard_reset

The pattern of a sensor is fixed for a stream: r (response), m (threshold) and the dark current d
are drawn per pixel from gamma distributions, r and m with mean 1; they stay positive and are close
to normal ones for small spreads.  As mean(Q) = r I + d, the expected rate is (r I + d) / (m theta);
counts over T frames have variance T (r I + d) / (photons (m theta)^2) from shot noise.

The same sources are modelled for low light in RSIR (Recurrent Spike-based Image Restoration, ACM
Multimedia 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoisySensor", "SensorNoise"]


@dataclass(frozen=True)
class SensorNoise:
    """How noisy a sensor is; the default adds nothing.

    Args:
        photons: photoelectrons that full light (1.0) frees per pixel and frame; ``None`` leaves
            light and dark current without shot noise.
        dark_current: mean charge per frame in darkness, in units of full light.
        dark_mismatch: relative standard deviation of the dark current between pixels.
        response_mismatch: relative standard deviation of the response to light between pixels.
        threshold_mismatch: relative standard deviation of the threshold between pixels.
        read_noise: standard deviation of the comparison with the threshold, as a fraction of it,
            drawn anew each frame.
        hard_reset: a spike empties the pixel, so what came after the threshold was reached and
            before the read-out is lost.

    Example:
        >>> SensorNoise(photons=200, dark_current=0.01, threshold_mismatch=0.02)
        SensorNoise(photons=200, dark_current=0.01, dark_mismatch=0.0, response_mismatch=0.0, \
threshold_mismatch=0.02, read_noise=0.0, hard_reset=False)
    """

    photons: float | None = None
    dark_current: float = 0.0
    dark_mismatch: float = 0.0
    response_mismatch: float = 0.0
    threshold_mismatch: float = 0.0
    read_noise: float = 0.0
    hard_reset: bool = False

    def __post_init__(self) -> None:
        if self.photons is not None and not (0 < self.photons <= 1e9):
            raise ValueError(f"photons must lie in (0, 1e9] or be None, got {self.photons}")
        for field in fields(self)[1:-1]:
            value = getattr(self, field.name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{field.name} must be at least 0, got {value}")


class NoisySensor:
    """The pixels ``[H, W]`` of one noisy sensor; draws from ``rng`` frame by frame."""

    def __init__(
        self,
        noise: SensorNoise,
        shape: tuple[int, ...],
        threshold: float,
        rng: np.random.Generator,
    ) -> None:
        self._noise, self._rng, self._threshold = noise, rng, threshold
        self._response = _pattern(noise.response_mismatch, shape, rng)
        self._dark = noise.dark_current * _pattern(noise.dark_mismatch, shape, rng)
        self._thresholds = threshold * _pattern(noise.threshold_mismatch, shape, rng)

    def step(
        self, light: NDArray[np.floating], v: NDArray[np.float64], fired: NDArray[np.bool_]
    ) -> None:
        """One frame: adds its charge to the integral ``v``, writes ``fired``, resets."""
        noise, rng = self._noise, self._rng
        charge = self._response * light + self._dark
        if noise.photons is not None:
            charge = rng.poisson(charge * noise.photons) / noise.photons
        v += charge
        seen = v
        if noise.read_noise > 0:
            seen = v + rng.normal(0.0, noise.read_noise * self._threshold, v.shape)
        np.greater_equal(seen, self._thresholds, out=fired)
        if noise.hard_reset:
            v[fired] = 0.0
        else:
            v -= fired * self._thresholds


def _pattern(
    spread: float, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Positive factors per pixel, mean 1, standard deviation ``spread``."""
    if spread < 1e-9:  # none, or less than the float64 sums show; 1 / spread**2 stays finite
        return np.ones(shape)
    return rng.gamma(spread**-2, spread**2, shape)
