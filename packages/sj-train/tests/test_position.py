from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sj_train import CheckpointError, TrainingState, fit, load_checkpoint, save_checkpoint
from sj_train.checkpoint import LATEST, Position
from sj_train.position import ResumableLoader, begin_pass
from sj_train.resume import resume

# Run in this process and, to be killed, in forks of another one.
SCRIPT = '''
import os, random, signal, sys
import torch
from sj_neurons import neuron, surrogate
from sj_train import ModelEma, fit
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Noisy(Dataset):
    """Augments with python's and torch's generators."""
    def __len__(self):
        return 16
    def __getitem__(self, index):
        x = torch.full((6,), index % 3 + 0.1 * random.random()) + 0.1 * torch.randn(6)
        return x, index % 3

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def run(folder, *, every=1, resume="latest", kill_batch=None, kill_write=None, workers=0,
        own_generator=True):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Unflatten(0, (4, -1)),
        neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan()),
        nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    counts = {"batch": 0, "write": 0}
    def preprocess(x):
        counts["batch"] += 1
        if counts["batch"] == kill_batch:
            die()
        return x.repeat(4, 1)
    replace = os.replace
    def replace_or_die(source, target):
        counts["write"] += 1
        if counts["write"] == kill_write:
            die()
        replace(source, target)
    os.replace = replace_or_die
    shuffle = torch.Generator().manual_seed(9) if own_generator else None
    options = {"num_workers": workers}
    try:
        history = fit(
            net,
            DataLoader(Noisy(), 4, shuffle=True, generator=shuffle, **options),
            DataLoader(Noisy(), 16),
            epochs=2, optimizer=optimizer, criterion=nn.CrossEntropyLoss(),
            scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2),
            scaler=torch.amp.GradScaler("cpu", growth_interval=3),
            checkpoint_dir=folder, resume=resume, preprocess=preprocess,
            process_output=lambda y: y.mean(0), ema=ModelEma(net, 0.5, every=4), seed=1,
            checkpoint_every_steps=every)
    finally:
        os.replace = replace
    return net, optimizer, history

def run_in_fork(folder, **options):
    """Run until it is killed, in a copy of this process."""
    child = os.fork()
    if child == 0:
        try:
            run(folder, **options)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL

if __name__ == "__main__":
    for name, (options, kills) in eval(sys.argv[2]).items():
        for kill in kills:
            run_in_fork(os.path.join(sys.argv[1], name), **options, **kill)
'''

# An epoch is 4 training batches and a test batch; a run has 2 epochs.
_draw = random.Random(5)
CASES = {
    "each batch": ({"every": 1}, [{"kill_batch": _draw.randrange(2, 5)} for _ in range(3)]),
    "every 2 batches": ({"every": 2}, [{"kill_batch": _draw.randrange(3, 10)}]),
    "between epochs only": ({"every": 0}, [{"kill_batch": _draw.randrange(2, 10)}]),
    "workers": ({"every": 1, "workers": 1}, [{"kill_batch": _draw.randrange(7, 10)}]),
    "no generator": ({"every": 1, "own_generator": False}, [{"kill_batch": 3}]),
    "while writing": ({"every": 1}, [{"kill_write": 3}, {"kill_write": _draw.randrange(1, 5)}]),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that were killed at random batches, by the name of their case."""
    root = tmp_path_factory.mktemp("killed")
    script = root / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(root), repr(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return root


def assert_same(one: Any, other: Any) -> None:
    """Equal to the last bit, all the way down."""
    assert type(one) is type(other)
    if isinstance(one, Mapping):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for item, twin in zip(one, other, strict=True):
            assert_same(item, twin)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


scope: dict = {"__name__": "script"}
exec(compile(SCRIPT, "script", "exec"), scope)


@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_goes_on_bit_for_bit(killed, tmp_path, name):
    options = CASES[name][0]
    scope["run"](tmp_path, **{**options, "every": 0})
    scope["run"](killed / name, **options)
    whole, resumed = (load_checkpoint(folder / LATEST) for folder in (tmp_path, killed / name))
    assert_same(resumed, whole)
    assert sorted(os.listdir(killed / name)) == sorted(os.listdir(tmp_path))


def settings(make_net, make_loaders, folder, **options):
    net = make_net()
    train, test = make_loaders()
    defaults = {
        "epochs": 2,
        "optimizer": torch.optim.Adam(net.parameters(), lr=0.02),
        "criterion": nn.CrossEntropyLoss(),
        "preprocess": lambda x: x.expand(4, *x.shape),
        "process_output": lambda y: y.mean(0),
        "seed": 1,
        "checkpoint_dir": folder,
    }
    return (net, train, test), {**defaults, **options}


class StopRun(Exception):
    pass


def stop_at(batch: int):
    count = 0

    def preprocess(x: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == batch:
            raise StopRun
        return x.expand(4, *x.shape)

    return preprocess


def test_a_run_goes_on_in_another_folder(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, tmp_path / "whole")
    fit(*data, **options)
    data, options = settings(make_net, make_loaders, tmp_path / "here")
    options |= {"preprocess": stop_at(3), "checkpoint_every_steps": 1}
    with pytest.raises(StopRun):
        fit(*data, **options)
    before = (tmp_path / "here" / LATEST).read_bytes()
    data, options = settings(make_net, make_loaders, tmp_path / "there")
    fit(*data, **options, resume=tmp_path / "here" / LATEST)
    expected, there = (load_checkpoint(tmp_path / name / LATEST) for name in ("whole", "there"))
    torch.testing.assert_close(there["model"], expected["model"], rtol=0, atol=0)
    assert there["history"] == expected["history"]
    assert (tmp_path / "here" / LATEST).read_bytes() == before


def test_batches_are_skipped_without_being_loaded():
    seen: list[int] = []

    class Counted(TensorDataset):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    loader = DataLoader(Counted(torch.arange(8)), 2)
    state = make_state(position=Position(3, 6, [1.0], None))
    resumable = ResumableLoader(loader, state, folder=None, every=0)
    sums = [0.0]
    assert begin_pass(resumable, sums) == 3
    assert sums == [1.0]
    assert [x.tolist() for (x,) in resumable] == [[6, 7]]
    assert seen == [6, 7]
    assert len(list(resumable)) == 4  # the next pass is whole
    assert begin_pass(loader, sums) == 0


def make_state(**options) -> TrainingState:
    net = nn.Linear(1, 1)
    return TrainingState(net, torch.optim.SGD(net.parameters(), lr=0.1), **options)


def test_streams_are_read_up_to_the_position():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(6))

    state = make_state(position=Position(2, 4, [], None))
    resumable = ResumableLoader(DataLoader(Stream(), 2), state, folder=None, every=0)
    assert [x.tolist() for x in resumable] == [[4, 5]]


def test_another_batch_size_goes_on_after_the_same_samples(caplog):
    loader = DataLoader(TensorDataset(torch.arange(8)), 4)
    state = make_state(position=Position(3, 6, [], None))
    resumable = ResumableLoader(loader, state, folder=None, every=0)
    assert begin_pass(resumable, []) == 1
    assert [x.tolist() for (x,) in resumable] == [[4, 5, 6, 7]]
    assert "batches have another size" in caplog.text


def test_less_data_than_the_position_is_an_error():
    loader = DataLoader(TensorDataset(torch.arange(4)), 2)
    state = make_state(position=Position(3, 6, [], None))
    with pytest.raises(CheckpointError, match=r"after batch 3 of an epoch.*has fewer"):
        list(ResumableLoader(loader, state, folder=None, every=0))


def test_checkpoints_fall_between_optimizer_steps(tmp_path):
    loader = DataLoader(TensorDataset(torch.arange(12)), 1)
    state = make_state()
    steps = []
    for step, _ in enumerate(
        ResumableLoader(loader, state, folder=tmp_path, every=4, accumulate=3)
    ):
        if (tmp_path / LATEST).exists():
            steps.append((step, load_checkpoint(tmp_path / LATEST)["position"]["step"]))
    # every 4 batches, put off to the end of a group of 3
    assert sorted({stored for _, stored in steps}) == [6]


def test_positions_of_several_processes_are_added_up(tmp_path, caplog):
    """Four processes stopped, one goes on."""
    state = make_state(position=Position(2, 16, [1.0, 2.0], {"rng": {}}))
    save_checkpoint(state, tmp_path)
    content = load_checkpoint(tmp_path / LATEST)
    for key in ("rng", "loader_generators"):
        content[key] *= 4
    content["position"]["ranks"] *= 4
    torch.save(content, tmp_path / "four.pth")
    resumed = make_state()
    resume(resumed, tmp_path / "four.pth")
    assert resumed.position == Position(2, 16, [4.0, 8.0], None)
    assert "random states of 1 processes: those of 4 processes" in caplog.text


@pytest.mark.parametrize("options", [{"every": -1}, {"every": 1, "accumulate": 0}])
def test_impossible_intervals_are_named(options):
    with pytest.raises(ValueError, match="every must be at least 0 and accumulate at least 1"):
        ResumableLoader(DataLoader([1]), make_state(), folder=None, **options)


def test_random_numbers_between_do_not_matter(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, tmp_path)
    options |= {"preprocess": stop_at(3), "checkpoint_every_steps": 1}
    with pytest.raises(StopRun):
        fit(*data, **options)
    content = load_checkpoint(tmp_path / LATEST)
    torch.rand(random.Random(0).randrange(9) + 1)
    data, options = settings(make_net, make_loaders, tmp_path, resume="latest", epochs=1)
    fit(*data, **options)
    assert content["position"]["step"] == 2
    assert load_checkpoint(tmp_path / LATEST)["epoch"] == 0
