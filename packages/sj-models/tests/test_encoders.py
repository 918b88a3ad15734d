from __future__ import annotations

import pytest
import torch

from sj_models.build import build
from sj_models.encoders import Latency, Poisson, Repeat

T = 6
IMAGE = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["Repeat", "Poisson", "Latency"])
def test_time_comes_first(kind: str) -> None:
    encoder = build({"type": kind, "T": T})
    assert encoder(IMAGE).shape == (T, *IMAGE.shape)
    assert not encoder.state_dict()
    assert f"T={T}" in repr(encoder)


def test_repeating_takes_no_memory() -> None:
    x_seq = Repeat(T)(IMAGE)
    assert x_seq.stride(0) == 0
    assert torch.equal(x_seq[3], IMAGE)


def test_poisson_rates_are_the_values() -> None:
    torch.manual_seed(0)
    spikes = Poisson(2000)(IMAGE)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(spikes.mean(0), IMAGE, atol=0.05, rtol=0)


@pytest.mark.parametrize("enc_function", ["linear", "log"])
def test_latency_gives_each_value_one_spike_and_forgets_it(enc_function: str) -> None:
    encoder = Latency(T, enc_function)
    first = encoder(IMAGE)
    assert torch.equal(first.sum(0), torch.ones_like(IMAGE))
    other = encoder(1 - IMAGE[:1])  # another image, another batch size, no reset by the caller
    assert other.shape == (T, 1, 3, 4, 4)
    order = IMAGE.flatten().argsort(descending=True)
    times = first.argmax(0).flatten()[order]
    assert bool((times.diff() >= 0).all())


@pytest.mark.parametrize("kind", [Repeat, Poisson, Latency])
@pytest.mark.parametrize(("T", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_steps_are_a_positive_number(kind: type, T: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{kind.__name__}: T must be"):
        kind(T)
