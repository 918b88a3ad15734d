from __future__ import annotations

import pytest
import torch

from sj_models.necks import GeneralizedMeanPooling

X = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_first_power_is_the_average_and_a_high_one_nears_the_maximum():
    torch.testing.assert_close(GeneralizedMeanPooling(p=1.0)(X), X.mean((2, 3)))
    high = GeneralizedMeanPooling(p=200.0)(X.double())
    torch.testing.assert_close(high, X.double().amax((2, 3)), rtol=0.02, atol=0)


def test_gradients():
    pool = GeneralizedMeanPooling(p=2.5).double()
    x = X.double().requires_grad_()
    assert torch.autograd.gradcheck(pool, (x,))
    assert torch.autograd.gradcheck(lambda p: torch.func.functional_call(pool, {"p": p}, x), pool.p)


def test_exponent_that_is_not_trained_has_no_key():
    pool = GeneralizedMeanPooling(p_trainable=False)
    assert not pool.state_dict()
    assert not list(pool.parameters())
    torch.testing.assert_close(pool(X), GeneralizedMeanPooling()(X))


def test_time_is_kept_or_averaged_first():
    spikes = (torch.rand(4, 2, 3, 5, 5) > 0.6).float()
    kept = GeneralizedMeanPooling()
    torch.testing.assert_close(kept(spikes), torch.stack([kept(step) for step in spikes]))
    rates = GeneralizedMeanPooling(time="mean")
    torch.testing.assert_close(rates((spikes,))[0], kept(spikes.mean(0)))
    torch.testing.assert_close(rates(spikes[0]), kept(spikes[0]))


def test_negative_values_are_clamped_unless_told_otherwise():
    x = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2)
    assert GeneralizedMeanPooling(p=1)(x).item() == pytest.approx(0.5)
    assert GeneralizedMeanPooling(p=1, clamp=False)(x).item() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 0.5}, "p must be 1 or more, got 0.5"),
        ({"eps": 0.0}, "eps must be above 0, got 0.0"),
        ({"time": "sum"}, "time must be keep or mean, got 'sum'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GeneralizedMeanPooling(**arguments)


def test_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"expected \[N, C, H, W\]"):
        GeneralizedMeanPooling()(torch.rand(2, 3))


def test_repr():
    assert "p=3, eps=1e-06, clamp=True, time='keep'" in repr(GeneralizedMeanPooling())
