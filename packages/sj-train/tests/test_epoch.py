from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sj_train import ModelEma, NonFiniteLossError, evaluate, train_one_epoch
from sj_train.errors import ClassCountError, DataError

T = 4


def repeat(x: torch.Tensor) -> torch.Tensor:
    return x.expand(T, *x.shape)


def rate(y: torch.Tensor) -> torch.Tensor:
    return y.mean(0)


def test_an_epoch_equals_the_loop_written_out(make_net, make_loaders):
    loss_of = nn.CrossEntropyLoss()
    loader, _ = make_loaders()
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(1)
    scores = train_one_epoch(
        net,
        loader,
        optimizer=optimizer,
        criterion=loss_of,
        device="cpu",
        preprocess=repeat,
        process_output=rate,
        clip_grad_norm=0.5,
    )
    expected = make_net().train()
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    loader, _ = make_loaders()
    torch.manual_seed(1)
    total = 0.0
    for x, y in loader:
        loss = loss_of(expected(x.repeat(T, 1, 1)).mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
        optimizer.step()
        expected[1].reset()
        total += loss.item() * len(x)
    torch.testing.assert_close(net.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert scores.loss == pytest.approx(total / 24, rel=1e-6)


def test_states_are_reset_after_every_batch(make_net, make_loaders):
    net = make_net()
    _, loader = make_loaders(count=20, batch=8)  # the last batch is smaller
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    options = {"criterion": nn.CrossEntropyLoss(), "device": "cpu"}
    options |= {"preprocess": repeat, "process_output": rate}
    train_one_epoch(net, loader, optimizer=optimizer, **options)
    evaluate(net, loader, **options)
    assert not isinstance(net[1].v, torch.Tensor)


def test_scores_weigh_batches_by_their_size():
    data = TensorDataset(torch.eye(3)[[0, 1, 0]], torch.tensor([0, 0, 1]))
    scores = evaluate(
        nn.Identity(), DataLoader(data, 2), criterion=nn.CrossEntropyLoss(), device="cpu"
    )
    hit, miss = torch.tensor([1.0, 0, 0]).log_softmax(0)[:2].neg().tolist()
    assert scores.acc1 == pytest.approx(100 / 3)
    assert scores.loss == pytest.approx((hit + miss + miss) / 3)


def test_a_non_finite_loss_stops_before_the_step(make_net):
    net = make_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.zeros(4, 6)
    x[3] = torch.nan
    loader = DataLoader(TensorDataset(x, torch.zeros(4, dtype=torch.long)), 4)

    def loss_of(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return output.sum() * torch.nan

    with pytest.raises(FloatingPointError, match="nan at epoch 3, batch 0: the input of the"):
        train_one_epoch(
            net,
            loader,
            optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
            criterion=loss_of,
            device="cpu",
            epoch=3,
            preprocess=repeat,
            process_output=rate,
        )
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    assert issubclass(NonFiniteLossError, FloatingPointError)


def test_a_label_without_output_is_named(make_net, make_loaders):
    _, loader = make_loaders(classes=4)
    with pytest.raises(ClassCountError, match=r"class 3, the model has 3 outputs"):
        evaluate(
            make_net(),
            loader,
            criterion=nn.CrossEntropyLoss(),
            device="cpu",
            preprocess=repeat,
            process_output=rate,
        )


def test_a_loader_without_batches_is_named(make_net):
    data = TensorDataset(torch.zeros(3, 6), torch.zeros(3, dtype=torch.long))
    loader = DataLoader(data, 4, drop_last=True)
    with pytest.raises(DataError, match=r"train loader gave no batch.*smaller than a batch"):
        train_one_epoch(
            make_net(),
            loader,
            optimizer=torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1),
            criterion=nn.CrossEntropyLoss(),
            device="cpu",
        )


def test_bfloat16_autocast_on_cpu(make_net, make_loaders):
    loader, _ = make_loaders()
    seen = []

    def record(y: torch.Tensor) -> torch.Tensor:
        seen.append(y.dtype)
        return y.mean(0)

    net = make_net()
    train_one_epoch(
        net,
        loader,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        device="cpu",
        preprocess=repeat,
        process_output=record,
        amp_dtype=torch.bfloat16,
    )
    assert set(seen) == {torch.bfloat16}
    assert net[0].weight.dtype == torch.float32


@pytest.mark.parametrize("clip", [None, 0.1])
def test_loss_scaling_by_a_power_of_two_changes_nothing(make_net, make_loaders, clip):
    weights = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=8.0)):
        loader, _ = make_loaders()
        net = make_net()
        torch.manual_seed(2)
        train_one_epoch(
            net,
            loader,
            optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
            criterion=nn.CrossEntropyLoss(),
            device="cpu",
            preprocess=repeat,
            process_output=rate,
            scaler=scaler,
            clip_grad_norm=clip,
        )
        weights.append(net.state_dict())
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def train(net, loader, **options):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    defaults = {"criterion": nn.CrossEntropyLoss(), "device": "cpu", "preprocess": repeat}
    options = defaults | {"process_output": rate} | options
    return train_one_epoch(net, loader, optimizer=optimizer, **options)


def test_accumulated_batches_equal_one_large_batch(make_net):
    x = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(x, torch.arange(12) % 3)
    nets = [make_net(), make_net()]
    for net, batch, every in zip(nets, (6, 2), (1, 3), strict=True):
        net[2].p = 0.0
        train(net, DataLoader(data, batch), grad_accum_steps=every)
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict())


def test_the_last_group_of_batches_may_be_smaller(make_net):
    x = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    whole = DataLoader(TensorDataset(x[:6], torch.arange(6) % 3), 6)
    rest = DataLoader(TensorDataset(x[6:], torch.arange(6, 10) % 3), 4)
    both = DataLoader(TensorDataset(x, torch.arange(10) % 3), 2)
    nets = [make_net(), make_net()]
    for net in nets:
        net[2].p = 0.0
    train(nets[0], whole)
    train(nets[0], rest)
    train(nets[1], both, grad_accum_steps=3)
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict())


def test_the_average_follows_optimizer_steps(make_net, make_loaders):
    net = make_net()
    ema = ModelEma(net, 0.5)
    train(net, make_loaders(count=40)[0], ema=ema, grad_accum_steps=2)
    assert int(ema.n_averaged) == 3


def test_a_loss_of_every_step_sees_the_time_axis(make_net, make_loaders):
    shapes = []

    def loss_of(y, target):
        shapes.append(y.shape)
        return nn.functional.cross_entropy(y.mean(0), target)

    train(make_net(), make_loaders()[0], step_criterion=loss_of)
    assert shapes == [(T, 8, 3)] * 3
