"""Encoders of images: the period that a stateful one plays, and what each family encodes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_layers.encoding import (
    LatencyEncoder,
    PeriodicEncoder,
    PoissonEncoder,
    StatefulEncoder,
    StatelessEncoder,
    WeightedPhaseEncoder,
)

N, C = 2, 3
unit = st.floats(0, 1, width=32)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(N, C, generator=torch.Generator().manual_seed(0))


def _steps(encoder, x, steps):
    return torch.stack([encoder(x) for _ in range(steps)])


# the period


class Ramp(StatefulEncoder):
    """Step t of the period is x * t."""

    def single_step_encode(self, x):
        return torch.arange(self.T).view(-1, *[1] * x.dim()) * x


def test_the_period_is_played_round_and_round(x):
    out = _steps(Ramp(3), x, 7)
    torch.testing.assert_close(out, torch.stack([x * (t % 3) for t in range(7)]))


def test_only_the_first_input_after_a_reset_is_encoded(x):
    encoder = Ramp(2)
    encoder(x)
    torch.testing.assert_close(encoder(x + 1), x)
    encoder.reset()
    assert encoder.spike is None and encoder.t == 0
    assert (encoder(x + 1) == 0).all()
    torch.testing.assert_close(encoder(), x + 1)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_a_sequence_is_as_many_single_steps(x, steps):
    single, multi = Ramp(3), Ramp(3, step_mode="m")
    for _ in range(2):  # the second call goes on where the first stopped
        out = multi(x.expand(steps, N, C))
        assert torch.equal(out, _steps(single, x, steps))
        assert multi.t == single.t


def test_without_input_a_sequence_is_one_period(x):
    encoder = Ramp(3, step_mode="m")
    first = encoder(x[None])
    torch.testing.assert_close(encoder(), torch.stack([x, 2 * x, 0 * x]))
    assert (first == 0).all()


def test_an_output_can_be_written_to(x):
    for mode in "sm":
        encoder = Ramp(2, step_mode=mode)
        encoder(x).fill_(9)
        assert (encoder.spike[0] == 0).all()


def test_a_first_call_without_input_is_refused():
    for mode in "sm":
        with pytest.raises(ValueError, match="the first call after a reset needs an input"):
            Ramp(2, step_mode=mode)()


def test_a_sequence_of_no_steps_is_refused(x):
    encoder = Ramp(2, step_mode="m")
    for empty in (x[:0], x[0, 0]):
        with pytest.raises(ValueError, match=r"\[T, N, \*\] with T > 0.*expand"):
            encoder(empty)


@pytest.mark.parametrize("encoder", [LatencyEncoder(3), WeightedPhaseEncoder(3)])
def test_another_shape_without_a_reset_is_refused(x, encoder):
    encoder(x * 0.5)
    with pytest.raises(ValueError, match=r"input \(1, 3\).*input \(2, 3\); call reset\(\)"):
        encoder(x[:1])
    encoder.reset()
    assert encoder(x[:1] * 0.5).shape == (1, 3)


def test_a_period_of_another_length_is_refused(x):
    class Short(StatefulEncoder):
        def single_step_encode(self, x):
            return x[None]

    with pytest.raises(ValueError, match=r"must return 2 steps, \[2, N, \*\], got shape \(1, 2"):
        Short(2)(x)


def test_bases_say_what_is_missing(x):
    with pytest.raises(NotImplementedError, match="define single_step_encode"):
        StatefulEncoder(2)(x)
    with pytest.raises(NotImplementedError, match="define forward"):
        StatelessEncoder()(x)


@pytest.mark.parametrize(("T", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_period_has_a_whole_number_of_steps(T, error):
    with pytest.raises(error, match="LatencyEncoder: T must be"):
        LatencyEncoder(T)


# latency


@given(x=unit, T=st.integers(1, 600), enc_function=st.sampled_from(["linear", "log"]))
def test_each_value_fires_once_and_not_before_a_larger_one(x, T, enc_function):
    values = torch.tensor([0.0, x / 2, x, 1.0])
    spike = _steps(LatencyEncoder(T, enc_function), values, T)
    assert torch.equal(spike.sum(0), torch.ones(4))
    times = spike.argmax(0)
    assert times[0] == T - 1 and times[3] == 0
    assert times[0] >= times[1] >= times[2] >= times[3]


@pytest.mark.parametrize("T", [2, 7, 50])
@pytest.mark.parametrize("enc_function", ["linear", "log"])
def test_latency_is_the_documented_time(T, enc_function):
    x = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if enc_function == "linear":
        t_f = (T - 1) * (1 - x)
    else:
        t_f = T - 1 - torch.log((math.exp(T - 1) - 1) * x + 1)
    encoder = LatencyEncoder(T, enc_function)
    assert torch.equal(_steps(encoder, x, T).argmax(0), t_f.round().long())


def test_halves_are_rounded_to_the_even_step():
    x = torch.tensor([0.25, 0.75])  # t_f = 1.5 and 0.5
    assert _steps(LatencyEncoder(3), x, 3).argmax(0).tolist() == [2, 0]


def test_half_precision_has_room_for_many_steps():
    x = torch.tensor([0.0, 0.5, 1.0], dtype=torch.bfloat16)
    spike = _steps(LatencyEncoder(300), x, 300)
    assert spike.dtype == torch.bfloat16
    assert spike.argmax(0).tolist() == [299, 150, 0]


def test_an_unknown_latency_function_is_refused():
    with pytest.raises(ValueError, match="'linear' or 'log', got 'exp'"):
        LatencyEncoder(3, "exp")


# weighted phase


@given(
    K=st.integers(1, 64),
    x=st.floats(0, 1, exclude_max=True, width=32),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_digits_add_up_to_the_value_rounded_down(K, x, dtype):
    values = torch.tensor([x * (1 - 2.0**-K)], dtype=dtype)
    if values > 1 - 2.0**-K:  # rounded up
        values = values.nextafter(torch.zeros(1, dtype=dtype))
    spike = _steps(WeightedPhaseEncoder(K), values, K).double().flatten()
    assert set(spike.tolist()) <= {0.0, 1.0}
    digits = sum(int(s) << (K - 1 - k) for k, s in enumerate(spike.tolist()))
    numerator, denominator = values.item().as_integer_ratio()
    assert digits == (numerator << K) // denominator


def test_no_value_reaches_one_whatever_the_number_of_digits():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        with pytest.raises(ValueError, match=r"values in \[0, 1 - 2\*\*-60\], got 1 to 1"):
            WeightedPhaseEncoder(60)(torch.ones(1, dtype=dtype))


def test_number_of_digits_has_a_limit():
    assert WeightedPhaseEncoder(64).K == 64
    with pytest.raises(ValueError, match="K must be at most 64, got 65"):
        WeightedPhaseEncoder(65)


# values out of range


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan, math.inf])
@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        (LatencyEncoder(4), r"expected values in \[0, 1\], got"),
        (WeightedPhaseEncoder(4), r"expected values in \[0, 1 - 2\*\*-4\], got.*x \* \(1 - 2"),
    ],
)
def test_values_out_of_range_are_refused(encoder, text, bad):
    with pytest.raises(ValueError, match=text):
        encoder(torch.tensor([0.5, bad]))
    assert encoder.spike is None


@pytest.mark.parametrize("encoder", [PoissonEncoder(), LatencyEncoder(4), WeightedPhaseEncoder(4)])
def test_integer_images_are_refused(encoder):
    with pytest.raises(TypeError, match=r"got torch.uint8; scale an 8-bit image with x / 255"):
        encoder(torch.tensor([0, 255], dtype=torch.uint8))


def test_an_empty_batch_stays_empty():
    for encoder in (LatencyEncoder(4), WeightedPhaseEncoder(4), PoissonEncoder()):
        assert encoder(torch.empty(0, 3)).shape == (0, 3)


# periodic


def test_the_given_spikes_are_played_whatever_the_input(x):
    spike = torch.tensor([[1.0], [0.0], [0.0]])
    encoder = PeriodicEncoder(spike)
    assert _steps(encoder, x, 4).flatten().tolist() == [1.0, 0.0, 0.0, 1.0]
    encoder.reset()
    assert [encoder().item() for _ in range(2)] == [1.0, 0.0]


def test_periodic_in_mode_m_plays_as_many_steps_as_the_input_has(x):
    encoder = PeriodicEncoder(torch.eye(3), step_mode="m")
    assert torch.equal(encoder(x), torch.eye(3)[:2])
    assert torch.equal(encoder(), torch.eye(3)[[2, 0, 1]])


def test_periodic_keeps_a_copy():
    spike = torch.ones(2, 1)
    encoder = PeriodicEncoder(spike)
    spike.zero_()
    assert encoder() == 1
    encoder.spike.zero_()
    encoder.reset()
    assert encoder() == 1


def test_a_period_taken_away_is_put_back():
    encoder = PeriodicEncoder(torch.ones(2, 1))
    encoder.spike = None
    assert encoder(torch.zeros(1)) == 1


@pytest.mark.parametrize(
    ("spike", "error"),
    [([1.0], TypeError), (torch.tensor(1.0), ValueError), (torch.ones(0, 2), ValueError)],
)
def test_a_period_must_be_a_sequence(spike, error):
    with pytest.raises(error, match=r"spike must be .*\[T, N, \*\]"):
        PeriodicEncoder(spike)


# Poisson


def test_rate_is_the_value():
    x = torch.linspace(0, 1, 11)
    encoder = PoissonEncoder(generator=torch.Generator().manual_seed(0))
    rate = encoder(x.expand(4000, 11)).mean(0)
    bound = 4 * (x * (1 - x) / 4000).sqrt()  # four standard deviations
    assert ((rate - x).abs() <= bound).all()


def test_values_beyond_zero_and_one_never_and_always_fire():
    x = torch.tensor([-1.0, math.nan, 1.0, 2.0]).expand(500, 4)
    assert torch.equal(PoissonEncoder()(x), torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(500, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_black_pixels_stay_silent_in_half_precision(dtype):
    encoder = PoissonEncoder(generator=torch.Generator().manual_seed(0))
    spike = encoder(torch.zeros(20000, dtype=dtype))
    assert spike.dtype == dtype
    assert spike.sum() == 0


def test_draws_are_those_of_the_global_generator(x):
    torch.manual_seed(3)
    spike = PoissonEncoder()(x)
    torch.manual_seed(3)
    assert torch.equal(spike, (torch.rand_like(x) <= x).float())


def test_steps_of_a_sequence_differ():
    x = torch.full((5, 1000), 0.5)
    assert PoissonEncoder(step_mode="m")(x).unique(dim=0).shape[0] == 5
