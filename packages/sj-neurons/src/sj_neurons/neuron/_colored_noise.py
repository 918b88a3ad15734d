"""Noise with a power-law spectrum, drawn for many calls at once.

A Gaussian spectrum whose power falls as 1 / f^beta is drawn and transformed back to time. The
result is scaled to variance 1 at every moment, so that beta = 0 is exactly white noise. The
frequency 0 gets the power of the lowest other one.

Source: Timmer, König, "On generating power law noise", Astronomy and Astrophysics 300 (1995).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._arguments import checked_count, checked_number

__all__ = ["ColoredNoise", "power_law_noise"]


def power_law_noise(
    beta: float, channels: int, samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """Independent noise for each channel, `[channels, samples]`, of spectrum 1 / f^beta."""
    device = "cpu" if generator is None else generator.device
    frequency = torch.fft.rfftfreq(samples, device=device).clamp(min=1.0 / samples)
    scale = frequency ** (-beta / 2)
    shape = (channels, scale.numel(), 2)
    # frequency 0, and the highest one of an even number of samples, are real
    is_real = torch.zeros(scale.numel(), dtype=torch.bool, device=device)
    is_real[0] = True
    is_real[-1] |= samples % 2 == 0
    parts = torch.randn(shape, generator=generator, device=device)
    parts = torch.where(is_real.unsqueeze(1), torch.tensor([2**0.5, 0.0], device=device), 1) * parts
    variance = (scale**2 * torch.where(is_real, 2.0, 4.0)).sum() / samples**2
    spectrum = torch.view_as_complex(parts * scale.unsqueeze(1))
    return torch.fft.irfft(spectrum, n=samples) / variance.sqrt()


class ColoredNoise(nn.Module):
    """The noise of one neuron layer: drawn ahead for a number of calls, or given from outside.

    Args:
        owner: class name for messages.
        channels: number of noise signals.
        T: time steps per call.
        beta: exponent of the spectrum; 0 is white, 1 pink, 2 red.
    """

    drawn: Tensor | None
    loaded: Tensor | None

    def __init__(self, owner: str, channels: int, T: int, beta: float) -> None:
        super().__init__()
        self.owner = owner
        self.channels = channels
        self.T = checked_count(owner, "T", T)
        self.beta = checked_number(owner, "beta", beta)
        self.call = -1
        self.register_buffer("drawn", None, persistent=False)  # [calls, T, channels]
        self.register_buffer("loaded", None, persistent=False)  # [N, T, channels]

    def draw(self, calls: int, generator: torch.Generator | None) -> None:
        """New noise for the next `calls` calls, one signal that runs through all of them."""
        calls = checked_count(self.owner, "num_rl_step", calls)
        noise = power_law_noise(self.beta, self.channels, calls * self.T, generator)
        self.drawn = noise.view(self.channels, calls, self.T).permute(1, 2, 0)
        self.call = -1

    def present(self) -> Tensor:
        """The drawn noise of the last call, `[T, channels]`."""
        if self.drawn is None or self.call < 0:
            raise RuntimeError(
                f"{self.owner}: no noise has been used yet; call reset_noise(num_rl_step), then "
                "the neuron"
            )
        return self.drawn[self.call]

    def load(self, noise: Tensor) -> None:
        """Use `noise`, `[N, T, channels]` with N of the input or 1, until :meth:`cancel`."""
        if noise.dim() != 3 or noise.shape[1:] != (self.T, self.channels):
            raise ValueError(
                f"{self.owner}: expected noise [N, {self.T}, {self.channels}], got shape "
                f"{tuple(noise.shape)}"
            )
        self.loaded = noise.detach()

    def cancel(self) -> None:
        """Go back to the drawn noise."""
        self.loaded = None

    def next_for(self, x_seq: Tensor) -> Tensor:
        """Noise `[T, N or 1, channels]` for one call with input `x_seq`, `[T, N, *]`."""
        if self.loaded is not None:
            if self.loaded.shape[0] not in (1, x_seq.shape[1]):
                raise ValueError(
                    f"{self.owner}: noise for N = {self.loaded.shape[0]} is loaded, the input has "
                    f"N = {x_seq.shape[1]}; load other noise or call cancel_load()"
                )
            return self.loaded.transpose(0, 1).to(x_seq)
        if self.drawn is None or self.call + 1 >= self.drawn.shape[0]:
            calls = 0 if self.drawn is None else self.drawn.shape[0]
            raise RuntimeError(
                f"{self.owner}: noise was drawn for {calls} calls, and this is one more; call "
                "reset_noise(num_rl_step), or set is_training = False for none"
            )
        self.call += 1
        return self.drawn[self.call].unsqueeze(1).to(x_seq)
