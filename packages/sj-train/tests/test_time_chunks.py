from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sj_neurons import functional, neuron, surrogate
from sj_train import fit, load_checkpoint
from sj_train.args import build_parser
from sj_train.distributed import unwrap
from sj_train.errors import OptionError
from sj_train.option_checks import check_args
from sj_train.time_chunks import BlockCheckpoints, TimeChunks, layers_over_time, save_memory

T, N = 6, 3


def lif() -> nn.Module:
    return neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan())


def make(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs in (4, 5):
        layers += [nn.Linear(inputs, 5), *([OverTime(5)] if norm else []), lif()]
    return nn.Sequential(*layers, nn.Linear(5, 2))


class OverTime(nn.BatchNorm1d):
    """Batch normalisation of ``[T, N, C]``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(0, 1)).unflatten(0, input.shape[:2])


class Residual(nn.Module):
    """A net with blocks that are no Sequential, in a ModuleList."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Linear(4, 5), lif())
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.norm = OverTime(5)
        self.fire = lif()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fire(self.norm(self.linear(x)))


def x_seq(steps: int = T) -> torch.Tensor:
    return 3 * torch.rand(steps, N, 4, generator=torch.Generator().manual_seed(1))


def train(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output and gradients of one pass, its states reset between forward and backward or not."""
    x = x.clone().requires_grad_()
    y = net(x)
    (y.square().sum()).backward()
    functional.reset_net(net)
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    assert x.grad is not None
    return y.detach(), [*grads, x.grad]


def assert_same_training(one: nn.Module, other: nn.Module, x: torch.Tensor) -> None:
    torch.testing.assert_close(train(one, x), train(other, x), rtol=1e-5, atol=1e-6)
    plain = [value for _, value in one.named_buffers()]
    torch.testing.assert_close([value for _, value in other.named_buffers()], plain)


@settings(max_examples=12, deadline=None)
@given(steps=st.integers(1, 8), length=st.integers(1, 8))
def test_chunks_train_like_the_whole_sequence(steps, length):
    assert_same_training(make(), TimeChunks(make(), steps), x_seq(length))


def test_states_after_the_last_chunk_are_those_of_the_whole():
    plain, chunked = make(), TimeChunks(make(), 4)
    plain(x_seq()), chunked(x_seq())
    torch.testing.assert_close(chunked.module[1].v, plain[1].v)
    chunked(x_seq()).sum().backward()
    plain(x_seq()).sum().backward()
    torch.testing.assert_close(chunked.module[1].v, plain[1].v)


def test_random_masks_are_drawn_once():
    net = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 2))
    chunked = TimeChunks(net, 2)
    y = chunked(x_seq())
    state = torch.get_rng_state()
    y.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_truncation_stops_gradients_between_chunks():
    x = x_seq()
    expected = make()
    for chunk in x.split(2):
        expected(chunk).square().sum().backward()
        functional.detach_net(expected)
    truncated = TimeChunks(make(), 2, truncate=True)
    _, grads = train(truncated, x)
    torch.testing.assert_close(grads[:-1], [p.grad for p in expected.parameters()])
    whole = make()
    _, full = train(whole, x)
    assert not torch.allclose(full[0], grads[0])


@pytest.mark.parametrize("make_net", [lambda: make(norm=True), Residual, make])
def test_blocks_train_like_the_plain_net(make_net):
    assert_same_training(make_net(), BlockCheckpoints(make_net()), x_seq())


def test_blocks_leave_the_net_as_it_was():
    net = BlockCheckpoints(make(norm=True))
    net(x_seq()).sum().backward()
    assert all("forward" not in module.__dict__ for module in net.modules())
    assert int(net.module[1].num_batches_tracked) == 1
    copy.deepcopy(net)


@pytest.mark.parametrize("wrap", [lambda net: TimeChunks(net, 2), BlockCheckpoints])
def test_evaluation_is_that_of_the_plain_net(wrap):
    net = make(norm=True).eval()
    expected = net(x_seq())
    functional.reset_net(net)
    assert torch.equal(wrap(net).eval()(x_seq()), expected)


def test_layers_over_time_are_named():
    with pytest.raises(OptionError, match=r"1 \(OverTime\), 4 \(OverTime\) see all time steps"):
        TimeChunks(make(norm=True), 2)(x_seq())
    frozen = make(norm=True)
    for layer in frozen:
        if isinstance(layer, OverTime):
            layer.eval()
    assert layers_over_time(frozen) == []
    assert layers_over_time(nn.MultiheadAttention(4, 2))[0] == "the net (MultiheadAttention)"
    assert layers_over_time(nn.Sequential(neuron.PSN(4)))
    declared = make()
    declared[0].mixes_time = True
    assert layers_over_time(declared) == ["0 (Linear)"]


def test_a_net_without_time_axis_is_refused():
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(0)

    with pytest.raises(OptionError, match=r"Sequential makes \[3, 4\] of \[2, 3, 4\]"):
        TimeChunks(nn.Sequential(Mean()), 2)(x_seq().requires_grad_())
    with pytest.raises(OptionError, match="at least 1 time step, got 0"):
        TimeChunks(make(), 0)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ([], nn.Linear),
        (["--time-chunk", "2"], TimeChunks),
        (["--tbptt", "2"], TimeChunks),
        (["--checkpoint-blocks"], BlockCheckpoints),
    ],
)
def test_flags_choose_the_wrapper(words, kind):
    args = build_parser().parse_args([*words, "--device", "cpu"])
    check_args(args)
    net = nn.Linear(1, 1)
    wrapped = save_memory(args, net)
    assert type(wrapped) is kind
    assert getattr(wrapped, "truncate", False) is ("--tbptt" in words)
    assert unwrap(wrapped) is net


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--time-chunk", "0"], "--time-chunk: must be at least 1"),
        (["--tbptt", "2", "--checkpoint-blocks"], "--tbptt: cannot be combined with --checkpoint"),
    ],
)
def test_flags_that_cannot_be_used_are_named(words, text):
    with pytest.raises(OptionError, match=text):
        check_args(build_parser().parse_args([*words, "--device", "cpu"]))


@pytest.mark.parametrize("wrap", [lambda net: TimeChunks(net, 2), BlockCheckpoints])
def test_fit_stores_the_plain_net(wrap, make_net, make_loaders, tmp_path):
    results = []
    for name, wrapper in (("plain", lambda net: net), ("wrapped", wrap)):
        net = make_net()
        net[2] = nn.Identity()  # its mask depends on the chunks
        train, test = make_loaders()
        fit(
            wrapper(net),
            train,
            test,
            epochs=1,
            optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
            criterion=nn.CrossEntropyLoss(),
            preprocess=lambda x: x.expand(4, *x.shape),
            process_output=lambda y: y.mean(0),
            checkpoint_dir=tmp_path / name,
        )
        results.append(load_checkpoint(tmp_path / name / "checkpoint_latest.pth")["model"])
    torch.testing.assert_close(results[1], results[0])
