"""What holds for every encoder: modes, copies, dtypes, generators, compiled code."""

import copy
import inspect
import pickle

import pytest
import torch

import sj_layers.encoding as encoding
from sj_layers.encoding import (
    DeltaEncoder,
    LatencyEncoder,
    PeriodicEncoder,
    PoissonEncoder,
    PopEncoder,
    PopSpikeEncoderDeterministic,
    PopSpikeEncoderRandom,
    WeightedPhaseEncoder,
)
from sj_neurons import functional
from sj_neurons.base import MemoryModule, to_functional_forward

T, N, C = 5, 2, 3
STATEFUL = {
    "latency": lambda: LatencyEncoder(4),
    "latency-log": lambda: LatencyEncoder(4, "log"),
    "phase": lambda: WeightedPhaseEncoder(4),
    "periodic": lambda: PeriodicEncoder(torch.eye(3).unsqueeze(1).expand(3, N, C)),
    "delta": lambda: DeltaEncoder(0.2),
}
RANDOM = {
    "poisson": lambda generator: PoissonEncoder(generator=generator),
    "population": lambda generator: PopSpikeEncoderRandom(
        C, 4, 6, (0.0, 1.0), 0.3, generator=generator
    ),
}
POPULATIONS = (PopEncoder, PopSpikeEncoderDeterministic, PopSpikeEncoderRandom)


@pytest.fixture
def x_seq() -> torch.Tensor:
    return 0.9 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=STATEFUL)
def encoder(request):
    return STATEFUL[request.param]()


def _run(encoder, x_seq):
    return torch.stack([encoder(x) for x in x_seq])


def test_all_names_are_exported_and_documented():
    for name in encoding.__all__:
        assert inspect.getdoc(getattr(encoding, name))
    assert sorted(encoding.__all__) == encoding.__all__


def test_a_sequence_is_as_many_single_steps(encoder, x_seq):
    multi = copy.deepcopy(encoder)
    multi.step_mode = "m"
    for _ in range(2):
        assert torch.equal(multi(x_seq), _run(encoder, x_seq))
    for (name, ours), (_, theirs) in zip(
        encoder.named_memories(), multi.named_memories(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, msg=name)


def test_reset_starts_over(encoder, x_seq):
    first = _run(encoder, x_seq)
    functional.reset_net(encoder)
    assert torch.equal(_run(encoder, x_seq), first)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda encoder: pickle.loads(pickle.dumps(encoder))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_goes_on_by_itself(encoder, x_seq, duplicate):
    encoder(x_seq[0])
    clone = duplicate(encoder)
    expected = _run(encoder, x_seq[1:])
    assert torch.equal(_run(clone, x_seq[1:]), expected)


def test_state_is_not_saved(encoder, x_seq):
    encoder(x_seq[0])
    assert encoder.state_dict() == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_spikes_have_the_dtype_of_the_input(encoder, x_seq, dtype):
    encoder = encoder.to(dtype)
    x_seq = (x_seq * 16).round() / 16  # the same numbers in every dtype
    spike = _run(encoder, x_seq.to(dtype))
    assert spike.dtype == dtype
    encoder.reset()
    assert torch.equal(_run(encoder.float(), x_seq), spike.float())


def test_no_gradient_reaches_the_input(encoder, x_seq):
    assert not encoder(x_seq[0].requires_grad_()).requires_grad


def test_detach_and_functional_form(encoder, x_seq):
    expected = _run(encoder, x_seq)
    encoder.reset()
    run = to_functional_forward(encoder)
    states = [copy.deepcopy(value) for value in encoder.memories()]
    outputs = []
    for x in x_seq:
        out, states = run((x,), states)
        outputs.append(out)
    assert torch.equal(torch.stack(outputs), expected)
    encoder.detach()


def test_step_mode_is_shown_and_checked(encoder):
    assert "step_mode=s" in repr(encoder)
    functional.set_step_mode(torch.nn.Sequential(encoder), "m")
    assert "step_mode=m" in repr(encoder)
    with pytest.raises(ValueError, match="step_mode can only be"):
        encoder.step_mode = "x"


@pytest.mark.parametrize("name", STATEFUL)
def test_a_sequence_compiles_as_one_graph(name, x_seq):
    encoder, plain = STATEFUL[name](), STATEFUL[name]()
    encoder.step_mode = plain.step_mode = "m"
    torch.compiler.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend="eager")
    for _ in range(2):
        assert torch.equal(compiled(x_seq), plain(x_seq))


def test_single_steps_compile_as_one_graph(encoder, x_seq):
    plain = copy.deepcopy(encoder)
    torch.compiler.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend="eager")
    for _ in range(4):  # many more steps than torch would compile one by one
        assert torch.equal(_run(compiled, x_seq), _run(plain, x_seq))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_encoders_without_memory_compile_as_one_graph(x_seq):
    torch.compiler.reset()
    poisson = torch.compile(PoissonEncoder(), fullgraph=True, backend="eager")
    ends = torch.tensor([-1.0, 2.0]).expand(50, 2)
    assert torch.equal(poisson(ends), ends.clamp(0, 1))
    for cls in POPULATIONS:
        compiled = torch.compile(cls(C, 4, 6, (0, 1), 0.3), fullgraph=True, backend="eager")
        assert compiled(x_seq[0]).shape == (6, N, 4 * C)


# generators


def _seeded(seed=7):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", RANDOM)
def test_the_generator_alone_decides(name, x_seq):
    first = RANDOM[name](_seeded())(x_seq[0])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert torch.equal(RANDOM[name](_seeded())(x_seq[0]), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(RANDOM[name](_seeded(8))(x_seq[0]), first)


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_generator_the_global_one_is_used(name, x_seq):
    torch.manual_seed(5)
    first = RANDOM[name](None)(x_seq[0])
    torch.manual_seed(5)
    assert torch.equal(RANDOM[name](None)(x_seq[0]), first)


@pytest.mark.parametrize("name", RANDOM)
def test_a_copy_has_a_generator_of_its_own(name, x_seq):
    encoder = RANDOM[name](_seeded())
    encoder(x_seq[0])
    clones = [copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))]
    expected = encoder(x_seq[0])
    for clone in clones:
        assert torch.equal(clone(x_seq[0]), expected)


@pytest.mark.parametrize("name", RANDOM)
def test_something_else_is_no_generator(name):
    with pytest.raises(TypeError, match=r"must be a torch.Generator or None, got 7.*manual_seed"):
        RANDOM[name](7)


@pytest.mark.parametrize("name", RANDOM)
def test_a_generator_on_another_device_is_refused(name, x_seq):
    encoder = RANDOM[name](_seeded()).to("meta")
    with pytest.raises(ValueError, match=r"generator is on cpu and the input on meta.*device="):
        encoder(x_seq[0].to("meta"))


@pytest.mark.gpu
@pytest.mark.parametrize("name", RANDOM)
def test_generators_on_the_gpu(name, x_seq):
    x = x_seq[0].cuda()
    draws = [RANDOM[name](torch.Generator("cuda").manual_seed(1)).cuda()(x).cpu() for _ in range(2)]
    assert torch.equal(*draws)
    with pytest.raises(ValueError, match="generator is on cpu"):
        RANDOM[name](_seeded()).cuda()(x)


@pytest.mark.gpu
def test_stateful_encoders_on_the_gpu(encoder, x_seq):
    expected = _run(encoder, x_seq)
    encoder.reset()
    spike = _run(encoder.cuda(), x_seq.cuda())
    assert spike.is_cuda
    assert torch.equal(spike.cpu(), expected)


def test_repr_of_encoders_without_memory():
    assert repr(PoissonEncoder(step_mode="m")) == "PoissonEncoder(step_mode=m)"
    assert repr(PopEncoder(3, 4, 6, (0, 1), 0.3)) == "PopEncoder(obs_dim=3, pop_dim=4, spike_ts=6)"


def test_stateful_ones_are_found_by_the_functions_for_nets(encoder):
    assert isinstance(encoder, MemoryModule)
