"""Populations of neurons with Gaussian receptive fields."""

import pytest
import torch

from sj_layers.encoding import PopEncoder, PopSpikeEncoderDeterministic, PopSpikeEncoderRandom
from sj_neurons import functional

N, OBS, POP, STEPS = 4, 3, 5, 6
CLASSES = (PopEncoder, PopSpikeEncoderDeterministic, PopSpikeEncoderRandom)


def _make(cls, **changes):
    options = {"obs_dim": OBS, "pop_dim": POP, "spike_ts": STEPS, "mean_range": (-2, 2), "std": 0.6}
    return cls(**(options | changes))


@pytest.fixture
def obs() -> torch.Tensor:
    return torch.randn(N, OBS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _reference(encoder, obs):
    """Activity by a loop over numbers and neurons."""
    columns = []
    for i in range(OBS):
        for j in range(POP):
            z = (obs[:, i] - encoder.mean[0, i, j]) / encoder.std[0, i, j]
            columns.append((-(z**2) / 2).exp())
    return torch.stack(columns, dim=1)


def test_activity_is_gaussian(obs):
    encoder = _make(PopEncoder).double()
    y = encoder(obs)
    assert y.shape == (STEPS, N, OBS * POP)
    torch.testing.assert_close(y, _reference(encoder, obs).expand(STEPS, -1, -1))
    assert encoder.mean[0, 1].tolist() == [-2, -1, 0, 1, 2]
    assert encoder.encoder_neuron_num == OBS * POP


def test_deterministic_spikes_count_the_charge(obs):
    encoder = _make(PopSpikeEncoderDeterministic).double()
    v = torch.zeros(N, OBS * POP, dtype=torch.float64)
    expected = []
    for _ in range(STEPS):
        v = v + _reference(encoder, obs).detach()
        expected.append((v >= 0.999).double())
        v = v - 0.999 * expected[-1]
    assert torch.equal(encoder(obs), torch.stack(expected))
    torch.testing.assert_close(encoder.neurons.v, v)


def test_neurons_keep_their_potential_until_reset(obs):
    encoder = _make(PopSpikeEncoderDeterministic)
    first = encoder(obs.float())
    assert not torch.equal(encoder(obs.float()), first)
    functional.reset_net(encoder)
    assert torch.equal(encoder(obs.float()), first)


def test_random_spikes_have_the_activity_as_their_rate(obs):
    generator = torch.Generator().manual_seed(0)
    encoder = _make(PopSpikeEncoderRandom, spike_ts=4000, generator=generator).double()
    spike = encoder(obs)
    assert spike.unique().tolist() == [0.0, 1.0]
    p = _reference(encoder, obs)
    assert ((spike.mean(0) - p).abs() <= 4.5 * (p * (1 - p) / 4000).sqrt() + 1e-3).all()


@pytest.mark.parametrize("cls", [PopEncoder, PopSpikeEncoderRandom])
def test_gradient_is_that_of_the_activity(cls, obs):
    encoder = _make(cls).double()
    obs.requires_grad_()
    weight = torch.rand(STEPS, N, OBS * POP, dtype=torch.float64)
    inputs = (obs, encoder.mean, encoder.std)
    ours = torch.autograd.grad((encoder(obs) * weight).sum(), inputs)
    reference = torch.autograd.grad((_reference(encoder, obs) * weight).sum(), inputs)
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_deterministic_gradient_is_that_of_the_unrolled_neurons(obs):
    encoder = _make(PopSpikeEncoderDeterministic).double()
    weight = torch.rand(STEPS, N, OBS * POP, dtype=torch.float64)
    ours = torch.autograd.grad((encoder(obs) * weight).sum(), (encoder.mean, encoder.std))
    # with detached resets, step t has seen t + 1 activities
    charge = torch.arange(1.0, STEPS + 1).double().view(-1, 1, 1) * _reference(encoder, obs)
    theirs = torch.autograd.grad((charge * weight).sum(), (encoder.mean, encoder.std))
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_are_saved(cls):
    encoder = _make(cls)
    assert {name: tuple(p.shape) for name, p in encoder.state_dict().items()} == {
        "mean": (1, OBS, POP),
        "std": (1, OBS, POP),
    }
    other = _make(cls, std=1.0)
    other.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(other.std, encoder.std)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("mode", ["s", "m"])
def test_both_step_modes_make_a_sequence(cls, mode, obs):
    encoder = _make(cls)
    functional.set_step_mode(torch.nn.Sequential(encoder), mode)
    assert encoder(obs.float()).shape == (STEPS, N, OBS * POP)
    assert encoder(obs.float()[:1] if cls is PopEncoder else obs.float()).dtype == torch.float32


@pytest.mark.parametrize("cls", CLASSES)
def test_observations_of_another_size_are_refused(cls, obs):
    for bad in (obs[:, :2], obs[0, 0]):
        with pytest.raises(ValueError, match=r"expected observations \[N, 3\], got shape"):
            _make(cls)(bad)


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"obs_dim": 0}, ValueError, "obs_dim must be at least 1"),
        ({"pop_dim": 2.5}, TypeError, "pop_dim must be a whole number"),
        ({"spike_ts": None}, TypeError, "spike_ts must be a whole number"),
        ({"std": 0.0}, ValueError, "std must be greater than 0"),
        ({"std": "wide"}, TypeError, "std must be a number"),
        ({"mean_range": (1, 2, 3)}, TypeError, r"mean_range must be two numbers \(low, high\)"),
        ({"mean_range": 2.0}, TypeError, "mean_range must be two numbers"),
        ({"mean_range": (0, float("inf"))}, ValueError, "mean_range must be finite"),
    ],
)
def test_arguments_are_checked(changes, error, text):
    with pytest.raises(error, match=text):
        _make(PopEncoder, **changes)
