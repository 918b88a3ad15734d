from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from sj_neurons import functional, neuron, surrogate
from sj_train import TrainingState, fit, load_checkpoint, save_checkpoint, shard
from sj_train.checkpoint import LATEST
from sj_train.errors import OptionError, OutputError
from sj_train.parallel import is_sharded

pytestmark = pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")


@pytest.fixture
def group() -> Iterator[None]:
    """A group of this process alone; what several do is in test_sharded."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Stage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.fire = neuron.ParametricLIFNode(surrogate_function=surrogate.ATan())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fire(self.norm(self.linear(x)))


def make_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Sequential(Stage(), Stage()), nn.Linear(8, 3))


def groups_of(net: nn.Module) -> set[str]:
    return {name for name, module in net.named_modules() if isinstance(module, FSDPModule)}


@pytest.mark.parametrize(
    ("smallest", "expected"),
    [
        (60, {"", "1.0", "1.1"}),
        (20, {"", "0", "1.0", "1.1", "2"}),
        (100, {"", "1"}),
        (10_000, {""}),
    ],
)
def test_blocks_are_large_children_of_containers(group, smallest, expected):
    assert groups_of(shard(make_net(), "cpu", smallest=smallest)) == expected


def test_lists_of_modules_are_no_blocks(group):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleList([nn.ModuleList([nn.Linear(8, 8)]), nn.Linear(8, 8)])
            self.head = nn.Linear(8, 8)

    assert groups_of(shard(Net(), "cpu", smallest=10)) == {"", "stages.0.0", "stages.1"}


def test_shared_parameters_stay_in_one_group(group):
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    net[1].weight = net[0].weight
    assert groups_of(shard(net, "cpu", smallest=10)) == {""}


def test_names_shapes_and_classes_stay(group):
    net, plain = shard(make_net(), "cpu", smallest=60), make_net()
    assert is_sharded(net)
    assert not is_sharded(plain)
    assert isinstance(net, nn.Sequential)
    assert isinstance(net[1][0], Stage)
    own = net.state_dict()
    assert {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    assert all(isinstance(parameter, DTensor) for parameter in net.parameters())
    assert type(own["1.0.norm.running_mean"]) is torch.Tensor


def test_training_step_equals_that_of_the_plain_net(group):
    x, y = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 3
    found = []
    for net in (make_net(), shard(make_net(), "cpu", smallest=60)):
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()
            functional.reset_net(net)
        found.append(
            {n: getattr(v, "full_tensor", lambda v=v: v)() for n, v in net.state_dict().items()}
        )
    torch.testing.assert_close(*found)


def test_states_of_neurons_are_plain_and_reset(group):
    net = shard(make_net(), "cpu", smallest=60)
    net(torch.randn(8, 6))
    fire = net[1][0].fire
    assert type(fire.v) is torch.Tensor
    assert type(fire.w) is torch.Tensor
    functional.reset_net(net)
    assert fire.v == 0.0


def test_frozen_and_transposed_parameters(group):
    net = make_net()
    net[0].requires_grad_(False)
    net[1][0].fire.w.requires_grad_(False)
    net[2].weight = nn.Parameter(torch.ones(8, 3).t())
    shard(net, "cpu")(torch.randn(8, 6)).sum().backward()
    without = {name for name, parameter in net.named_parameters() if parameter.grad is None}
    assert without == {"0.weight", "0.bias", "1.0.fire.w"}


def test_spread_models_need_a_group():
    with pytest.raises(RuntimeError, match="of a group: start one first"):
        shard(make_net(), "cpu")


def test_models_that_cannot_be_spread_are_refused(group):
    with pytest.raises(OptionError, match="argument --parallel fsdp: "):
        shard(nn.ModuleList([nn.Linear(2, 2)]), "cpu")


def test_parameters_of_several_types(group):
    net = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3).double())
    with pytest.raises(OptionError, match=r"of one type, got torch\.float32, torch\.float64"):
        shard(net, "cpu")


def test_run_of_a_spread_model_resumes(group, make_loaders, tmp_path):
    def run(folder, epochs, resume=None):
        net = shard(make_net(), "cpu", smallest=60)
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
        return fit(
            net, *make_loaders(), epochs=epochs, optimizer=optimizer, seed=0,
            criterion=nn.CrossEntropyLoss(), checkpoint_dir=folder, resume=resume,
            checkpoint_every_steps=2, clip_grad_norm=1.0,
            scaler=torch.amp.GradScaler("cpu", growth_interval=3),
        )  # fmt: skip

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 2)
    assert run(tmp_path / "parts", 3, "latest").scalars == whole.scalars
    one, two = (load_checkpoint(tmp_path / name / LATEST) for name in ("whole", "parts"))
    torch.testing.assert_close(one["model"], two["model"], rtol=0, atol=0)
    torch.testing.assert_close(one["optimizer"], two["optimizer"], rtol=0, atol=0)


def test_a_folder_that_cannot_be_written_is_named(group, tmp_path):
    net = shard(make_net(), "cpu")
    state = TrainingState(net, torch.optim.SGD(net.parameters(), lr=0.1))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file.checkpoint_-1\.shards: Not a dir"):
        save_checkpoint(state, tmp_path / "file")


def test_parts_of_others_are_left_while_a_file_is_unreadable(group, tmp_path):
    net = shard(make_net(), "cpu")
    state = TrainingState(net, torch.optim.SGD(net.parameters(), lr=0.1), epoch=3)
    (tmp_path / "checkpoint_0.shards").mkdir()
    (tmp_path / "checkpoint_3.shards").mkdir()
    (tmp_path / "mine.pth").write_bytes(b"no torch file")
    save_checkpoint(state, tmp_path)
    parts = {"checkpoint_0.shards", "checkpoint_3.shards", "checkpoint_3-1.shards"}
    assert {path.name for path in tmp_path.glob("*.shards")} == parts
    (tmp_path / "mine.pth").unlink()
    save_checkpoint(state, tmp_path)
    assert [path.name for path in tmp_path.glob("*.shards")] == ["checkpoint_3-2.shards"]
