from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sj_neurons import functional
from sj_train import distributed
from sj_train.args import build_parser
from sj_train.cuda_graph import captured
from sj_train.errors import OptionError
from sj_train.train_classify import Trainer


def losses(model: nn.Module, device: str, steps: int = 6) -> list[float]:
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    draw = torch.Generator().manual_seed(2)
    found = []
    for _ in range(steps):
        x = torch.randn(4, 8, 6, generator=draw).to(device)
        y = torch.randint(3, (8,), generator=draw).to(device)
        loss = cross_entropy(model(x).mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        functional.reset_net(model)
        found.append(loss.item())
    return found


def without_dropout(net: nn.Module) -> nn.Module:
    net[2] = nn.Identity()
    return net


@pytest.mark.filterwarnings("ignore:.*(deprecated|should not be instantiated):DeprecationWarning")
@pytest.mark.parametrize("warmup", [2])
def test_training_on_a_cpu_is_the_same(make_net, caplog, warmup):
    # Nothing is captured there: this shows that model, states and gradients pass through.
    caplog.set_level(logging.CRITICAL)
    plain = losses(without_dropout(make_net()), "cpu")
    model = captured(without_dropout(make_net()), warmup_steps=warmup)
    assert losses(model, "cpu") == pytest.approx(plain, rel=1e-5)
    assert model.steps == warmup


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_replayed_training_equals_eager_training(make_net):
    plain = losses(without_dropout(make_net()).cuda(), "cuda", steps=12)
    model = captured(without_dropout(make_net()).cuda(), warmup_steps=3)
    assert losses(model, "cuda", steps=12) == pytest.approx(plain, rel=1e-4)


def test_the_option_captures_training_only(make_net):
    words = ["--execution-mode", "cuda_graph", "--cuda-graph-warmup-steps", "3"]
    args, trainer, net = build_parser().parse_args(words), Trainer(), make_net()
    model = trainer.compile_model(args, net)
    assert model.warmup_steps == 3
    assert distributed.unwrap(model) is net
    assert len(list(model.parameters())) == len(list(net.parameters()))
    assert trainer.get_eval_model(args, model, net) is net


def test_several_processes_are_refused(make_net):
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    with pytest.raises(OptionError, match="--execution-mode: cuda_graph works in a single process"):
        captured(wrapped, warmup_steps=0)
