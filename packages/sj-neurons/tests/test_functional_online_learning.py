"""FPTT and OTTT, against their update rules written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sj_neurons import base, functional, neuron

T, N, ALPHA, RATE = 3, 2, 0.5, 0.1


def network() -> nn.Sequential:
    torch.manual_seed(0)
    node = neuron.SLTTLIFNode(v_threshold=0.3)
    return nn.Sequential(nn.Linear(3, 4), node, nn.Linear(4, 2)).double()


@pytest.fixture
def net() -> nn.Sequential:
    return network()


@pytest.fixture
def x_seq() -> Tensor:
    return torch.rand(T, N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def target_seq() -> Tensor:
    return torch.rand(T, N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_fptt_follows_its_rule_for_a_linear_model():
    # y = w x, l = (y - 1)^2: everything by hand
    model = nn.Linear(1, 1, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    w = r = model.weight.item()
    g = 0.0
    xs = [0.5, -1.0, 2.0]
    average = functional.fptt_online_training_init_w_ra(optimizer)
    x_seq = torch.tensor(xs, dtype=torch.float64).reshape(3, 1, 1)
    functional.fptt_online_training(
        model, optimizer, x_seq, torch.ones_like(x_seq), F.mse_loss, ALPHA, average
    )
    for x in xs:
        w -= RATE * (2 * (w * x - 1) * x + ALPHA * (w - r - g / (2 * ALPHA)))
        g = 2 * (w * x - 1) * x
        r = (r + w) / 2 - g / (2 * ALPHA)
    assert model.weight.item() == pytest.approx(w, abs=1e-12)
    assert average[0].item() == pytest.approx(r, abs=1e-12)
    assert model.weight.grad is None


def test_fptt_averages_start_as_copies(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    averages = functional.fptt_online_training_init_w_ra(optimizer)
    for average, w in zip(averages, net.parameters(), strict=True):
        assert torch.equal(average, w)
        assert average.data_ptr() != w.data_ptr()


def test_fptt_makes_each_step_of_the_state_once(net, x_seq, target_seq):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    averages = functional.fptt_online_training_init_w_ra(optimizer)
    functional.fptt_online_training(net, optimizer, x_seq, target_seq, F.mse_loss, ALPHA, averages)
    after, v = net[1].v, base.extract_memories(net)
    assert not after.requires_grad
    functional.reset_net(net)
    functional.multi_step_forward(x_seq, net)
    assert torch.equal(net[1].v, after)
    assert len(v) == 1


def test_fptt_leaves_frozen_and_unused_parameters_alone(net, x_seq, target_seq):
    net[0].weight.requires_grad_(False)
    unused = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([*net.parameters(), unused], lr=RATE)
    averages = functional.fptt_online_training_init_w_ra(optimizer)
    frozen = net[0].weight.clone()
    functional.fptt_online_training(net, optimizer, x_seq, target_seq, F.mse_loss, ALPHA, averages)
    assert torch.equal(net[0].weight, frozen)
    assert unused.item() == 1.0


def test_fptt_refuses_what_does_not_fit(net, x_seq, target_seq):
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    averages = functional.fptt_online_training_init_w_ra(optimizer)

    def train(alpha: float, averages: list[Tensor], target_seq: Tensor = target_seq) -> None:
        functional.fptt_online_training(
            net, optimizer, x_seq, target_seq, F.mse_loss, alpha, averages
        )

    with pytest.raises(ValueError, match="alpha must be above 0, got 0"):
        train(0.0, averages)
    with pytest.raises(ValueError, match="has 4 parameters, w_ra has 3"):
        train(ALPHA, averages[1:])
    with pytest.raises(ValueError, match="shorter"):
        train(ALPHA, averages, target_seq[1:])
    with pytest.raises(ValueError, match=r"T > 0, got \(0, 2, 3\)"):
        functional.fptt_online_training(
            net, optimizer, x_seq[:0], target_seq[:0], F.mse_loss, ALPHA, averages
        )


def test_ottt_sums_the_gradients_of_all_steps(net, x_seq, target_seq):
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    before = [w.detach().clone() for w in net.parameters()]
    losses = []
    for x, target in zip(x_seq, target_seq, strict=True):
        losses.append(F.mse_loss(net(x), target))
    gradients = torch.autograd.grad(torch.stack(losses).sum(), list(net.parameters()))
    functional.reset_net(net)
    total, y = functional.ottt_online_training(
        net, optimizer, x_seq.transpose(0, 1), target_seq.transpose(0, 1), F.mse_loss, online=False
    )
    torch.testing.assert_close(total, torch.stack(losses).sum().detach())
    assert y.shape == (N, T, 2)
    assert not y.requires_grad and not total.requires_grad
    for w, old, gradient in zip(net.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(w.detach(), old - RATE * gradient)


def test_ottt_online_steps_after_each_step(net, x_seq, target_seq):
    twin = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    functional.ottt_online_training(
        net, optimizer, x_seq.transpose(0, 1), target_seq.transpose(0, 1), F.mse_loss, online=True
    )
    for x, target in zip(x_seq, target_seq, strict=True):
        gradients = torch.autograd.grad(F.mse_loss(twin(x), target), list(twin.parameters()))
        with torch.no_grad():
            for w, gradient in zip(twin.parameters(), gradients, strict=True):
                w -= RATE * gradient
    for w, expected in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(w, expected)


def test_ottt_refuses_an_empty_sequence(net, x_seq, target_seq):
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    with pytest.raises(ValueError, match=r"x_seq \[N, T, \*\] with T > 0, got \(2, 0, 3\)"):
        functional.ottt_online_training(
            net, optimizer, x_seq.transpose(0, 1)[:, :0], target_seq, F.mse_loss, online=True
        )
