from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from sj_train import ModelEma, fit, load_checkpoint
from sj_train.errors import NonFiniteLossError, OutputError, RunExistsError
from sj_train.scalars import ScalarLog, read_rows

TAGS = {"train_loss", "train_acc1", "train_acc5", "test_loss", "test_acc1", "test_acc5"}

# Run both in this process and, to be killed, in another one.
SCRIPT = '''
import os, random, signal, sys
import torch
from sj_neurons import neuron, surrogate
from sj_train import ModelEma, fit, load_checkpoint
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Noisy(Dataset):
    """Augments with python's and torch's generators."""
    def __len__(self):
        return 24
    def __getitem__(self, index):
        x = torch.full((6,), index % 3 + 0.1 * random.random()) + 0.1 * torch.randn(6)
        return x, index % 3

def run(folder, epochs, resume=None, kill_at=None):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Unflatten(0, (4, -1)),
        neuron.LIFNode(step_mode="m", surrogate_function=surrogate.ATan()),
        nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=2)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
    steps = 0
    def preprocess(x):
        nonlocal steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return x.repeat(4, 1)
    shuffle = torch.Generator().manual_seed(9)
    history = fit(
        net,
        DataLoader(Noisy(), 8, shuffle=True, generator=shuffle),
        DataLoader(Noisy(), 24),
        epochs=epochs, optimizer=optimizer, criterion=nn.CrossEntropyLoss(),
        scheduler=torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [2]),
        checkpoint_dir=folder, resume=resume, preprocess=preprocess,
        process_output=lambda y: y.mean(0), ema=ModelEma(net, 0.5), seed=1)
    return net, optimizer, history

if __name__ == "__main__":
    run(sys.argv[1], 4, kill_at=int(sys.argv[2]))
'''


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    scope: dict = {"__name__": "script"}
    exec(compile(SCRIPT, "script", "exec"), scope)
    result = scope["run"](tmp_path_factory.mktemp("whole"), 4)
    return scope["run"], result


def assert_equal_runs(one, other) -> None:
    torch.testing.assert_close(one[0].state_dict(), other[0].state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(one[1].state_dict(), other[1].state_dict(), rtol=0, atol=0)
    assert one[2] == other[2]


def test_two_halves_equal_one_run(uninterrupted, tmp_path):
    run, whole = uninterrupted
    run(tmp_path, 2)
    torch.rand(5)  # what happens in between does not matter
    assert_equal_runs(run(tmp_path, 4, resume="latest"), whole)


def test_killed_and_resumed_equals_one_run(uninterrupted, tmp_path):
    run, whole = uninterrupted
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # An epoch preprocesses 3 training and 2 test batches: killed in the first and third.
    killed = {
        tmp_path / f"batch {batch}": subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / f"batch {batch}"), str(batch)]
        )
        for batch in (2, 13)
    }
    for folder, process in killed.items():
        assert process.wait() == -signal.SIGKILL
        assert_equal_runs(run(folder, 4, resume="latest"), whole)


def settings(make_net, make_loaders, **options):
    net = make_net()
    train, test = make_loaders()
    defaults = {
        "epochs": 2,
        "optimizer": torch.optim.Adam(net.parameters(), lr=0.02),
        "criterion": nn.CrossEntropyLoss(),
        "preprocess": lambda x: x.expand(4, *x.shape),
        "process_output": lambda y: y.mean(0),
        "seed": 1,
    }
    return (net, train, test), {**defaults, **options}


def test_tensorboard_holds_the_documented_tags(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, log_dir=tmp_path)
    ema = ModelEma(data[0], 0.9)
    history = fit(*data, ema=ema, **options)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    scores = TAGS | {"ema_test_loss", "ema_test_acc1", "ema_test_acc5"}
    assert set(history.scalars) == scores
    rates = {f"{name}_samples_per_s" for name in ("train", "test", "ema_test")}
    tags = events.Tags()["scalars"]
    assert set(tags) == scores | rates | {"lr", "memory_mib", "firing_rate/1"}
    rows = read_rows(tmp_path / "scalars.jsonl")
    for tag in tags:
        assert [event.step for event in events.Scalars(tag)] == [0, 1]
        values = [event.value for event in events.Scalars(tag)]
        assert values == pytest.approx([row[tag] for row in rows], rel=1e-6)
        if tag in scores:
            assert values == pytest.approx(history[tag], rel=1e-6)
    assert all(event.value > 0 for tag in rates for event in events.Scalars(tag))
    assert 0 < rows[0]["firing_rate/1"] < 1
    with (tmp_path / "scalars.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [{tag: float(value) for tag, value in row.items()} for row in table] == rows


def test_the_learning_rate_is_that_of_the_epoch(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, log_dir=tmp_path, epochs=3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(options["optimizer"], 0.5)
    fit(*data, scheduler=scheduler, **options)
    assert [row["lr"] for row in read_rows(tmp_path / "scalars.jsonl")] == [0.02, 0.01, 0.005]


def test_a_resumed_run_goes_on_in_its_log(make_net, make_loaders, tmp_path):
    folders = {"log_dir": tmp_path / "log", "checkpoint_dir": tmp_path / "pt"}
    for epochs, resume in ((2, None), (4, "latest")):
        data, options = settings(make_net, make_loaders, epochs=epochs, resume=resume, **folders)
        history = fit(*data, **options)
    rows = read_rows(tmp_path / "log" / "scalars.jsonl")
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert [row["train_loss"] for row in rows] == history["train_loss"]


def test_pictures_of_the_spikes(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, log_dir=tmp_path, epochs=3, figures_every=2)
    fit(*data, **options)
    assert sorted(os.listdir(tmp_path / "spikes")) == ["0.png", "2.png"]
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [image.step for image in events.Images("spikes")] == [0, 2]


def test_watching_changes_no_result(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders)
    whole = fit(*data, **options)
    data, options = settings(make_net, make_loaders, log_dir=tmp_path, figures_every=1)
    assert fit(*data, **options) == whole


def test_a_run_that_breaks_keeps_its_log_and_names_the_layer(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, log_dir=tmp_path)

    def spoil(module, inputs, output):
        return output / 0 if module.training else output

    data[0][3].register_forward_hook(spoil)
    with pytest.raises(NonFiniteLossError, match=r"began in 3 \(Linear\); its input was finite"):
        fit(*data, **options)


def test_training_learns(make_net, make_loaders):
    data, options = settings(make_net, make_loaders, epochs=30)
    history = fit(*data, **options)
    assert history.last["test_acc1"] > 80
    assert history.epochs == list(range(30))


def test_without_a_test_set(make_net, make_loaders):
    data, options = settings(make_net, make_loaders)
    assert set(fit(*data[:2], **options).scalars) == {"train_loss", "train_acc1", "train_acc5"}


def test_schedule_on_a_plateau_watches_the_test_loss(make_net, make_loaders):
    data, options = settings(make_net, make_loaders)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(options["optimizer"], patience=0)
    history = fit(*data, scheduler=scheduler, **options)
    assert scheduler.best == min(history["test_loss"])


def test_an_earlier_run_is_not_overwritten_unasked(make_net, make_loaders, tmp_path):
    folders = {"log_dir": tmp_path / "log", "checkpoint_dir": tmp_path / "pt"}
    data, options = settings(make_net, make_loaders, **folders)
    fit(*data, **options)
    (tmp_path / "pt" / "mine.txt").touch()
    with pytest.raises(RunExistsError, match=r"resume='latest'.*overwrite=True"):
        fit(*data, **options)
    data, options = settings(make_net, make_loaders, epochs=1, overwrite=True, **folders)
    assert len(fit(*data, **options)) == 1
    assert (tmp_path / "pt" / "mine.txt").exists()
    assert len(list((tmp_path / "log").glob("events*"))) == 1
    assert not (tmp_path / "pt" / "checkpoint_1.pth").exists()


def test_a_finished_run_resumes_to_its_history(make_net, make_loaders, tmp_path):
    data, options = settings(make_net, make_loaders, checkpoint_dir=tmp_path)
    history = fit(*data, **options)
    data, options = settings(make_net, make_loaders, checkpoint_dir=tmp_path, resume="latest")
    assert fit(*data, **options) == history


def test_a_folder_that_cannot_be_made_is_named(make_net, make_loaders, tmp_path):
    (tmp_path / "file").touch()
    data, options = settings(make_net, make_loaders, checkpoint_dir=tmp_path / "file" / "pt")
    with pytest.raises(OutputError, match=r"cannot write in .*file.pt"):
        fit(*data, **options)


def test_leftovers_of_a_killed_write_are_removed(make_net, make_loaders, tmp_path):
    mine, running = ".notes.tmp", f".checkpoint_latest.pth.{os.getppid()}.tmp"
    for name in (".checkpoint_0.pth.999999999.tmp", mine, running):
        (tmp_path / name).touch()
    data, options = settings(make_net, make_loaders, checkpoint_dir=tmp_path)
    fit(*data, **options)
    assert {name for name in os.listdir(tmp_path) if name.endswith(".tmp")} == {mine, running}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_vanished_log_costs_no_epoch(make_net, make_loaders, tmp_path, monkeypatch):
    folders = {"log_dir": tmp_path / "log", "checkpoint_dir": tmp_path / "pt"}
    data, options = settings(make_net, make_loaders, **folders)
    write = ScalarLog.write

    def vanish(log, epoch, row):
        shutil.rmtree(tmp_path / "log")
        write(log, epoch, row)

    monkeypatch.setattr(ScalarLog, "write", vanish)
    with pytest.raises(OutputError, match=r"cannot write in .*log: No such file"):
        fit(*data, **options)
    assert load_checkpoint(tmp_path / "pt" / "checkpoint_latest.pth")["epoch"] == 0


def test_no_epochs_is_an_error(make_net, make_loaders):
    data, options = settings(make_net, make_loaders, epochs=0)
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        fit(*data, **options)


def test_the_bar_stays_silent_off_a_terminal(make_net, make_loaders, capfd):
    data, options = settings(make_net, make_loaders)
    fit(*data, **options)
    assert capfd.readouterr() == ("", "")


def test_importing_the_package_is_light():
    code = "import sys, sj_train; print(sorted(m for m in sys.modules if '.' not in m))"
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not any(f"'{name}'" in names for name in ("tensorboard", "PIL", "kornia", "tqdm"))
