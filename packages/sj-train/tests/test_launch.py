from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from sj_train.errors import CheckpointError, LaunchError, OptionError
from sj_train.launch import check_same_start, lost_processes_named
from sj_train.train_classify import Trainer

# Two processes with batches of b see, step by step, the samples one process sees with 2 b.
SCRIPT = """
import os, signal
import torch
from sj_neurons import neuron, surrogate
from sj_train import train_classify
from torch import nn
from torch.utils.data import DistributedSampler, SequentialSampler, TensorDataset

class Blobs(TensorDataset):
    classes = ["a", "b", "c"]

def blobs(count):
    y = torch.arange(count) % 3
    noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return Blobs(noise + y.unsqueeze(1), y)

class OverTime(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])

class BlobTrainer(train_classify.Trainer):
    def load_data(self, args):
        train, test = blobs(24), blobs(15)
        if args.distributed:
            return train, test, *(DistributedSampler(d, shuffle=False) for d in (train, test))
        return train, test, SequentialSampler(train), SequentialSampler(test)
    def load_model(self, args, num_classes):
        fire = neuron.IFNode(step_mode="m", surrogate_function=surrogate.ATan())
        norm = OverTime(8) if args.sync_bn else nn.Identity()
        return nn.Sequential(nn.Linear(6, 8), norm, fire, nn.Linear(8, num_classes))
    batches = 0
    def preprocess_train_sample(self, args, x):
        BlobTrainer.batches += 1
        die_at, _, marker = os.environ.get("DIE_AT", "0:").partition(":")
        if args.rank == 1 and self.batches == int(die_at) and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return x.expand(4, *x.shape)
    def preprocess_test_sample(self, args, x):
        return x.expand(4, *x.shape)
    def process_model_output(self, args, y):
        return y.mean(0)

if __name__ == "__main__":
    trainer = BlobTrainer()
    trainer.main(trainer.get_args_parser().parse_args())
"""
# What torchrun does, but its workers are forks that share the imports: torch, and what its first
# optimizer step imports.
LAUNCHER = """
import runpy, sys
import torch._dynamo, torch._inductor.config
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
import sj_train.train_classify

def work(script, words):
    sys.argv = [script, *words]
    runpy.run_path(script, run_name="__main__")

if __name__ == "__main__":
    nodes, each, port, restarts = map(int, sys.argv[1:5])
    script, *words = sys.argv[5:]
    config = LaunchConfig(
        nodes, nodes, each, rdzv_backend="c10d", rdzv_endpoint=f"localhost:{port}",
        max_restarts=restarts, monitor_interval=0.1, start_method="fork", run_id="test",
    )
    elastic_launch(config, work)(script, words)
"""
# What srun does without torchrun: nobody stops the others when one dies.
SRUN = """
import os, runpy, socket, sys
import torch._dynamo, torch._inductor.config
import sj_train.train_classify

script, *words = sys.argv[1:]
with socket.create_server(("127.0.0.1", 0)) as free:
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
workers = {}
for rank in (0, 1):
    if (worker := os.fork()) == 0:
        os.environ |= meeting | {"SLURM_PROCID": str(rank), "SLURM_NTASKS": "2"}
        sys.argv = [script, *words, "--world-size", "2"]
        runpy.run_path(script, run_name="__main__")
        sys.exit(0)
    workers[worker] = rank
for _ in workers:
    worker, status = os.wait()
    print("process", workers[worker], "ended with", os.waitstatus_to_exitcode(status))
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
OPTIONS = "--device cpu -j 0 --mixup-alpha 0 --cutmix-alpha 0 --lr-warmup-epochs 1 --model net"


scope: dict = {"__name__": "script"}
exec(compile(SCRIPT, "script", "exec"), scope)
BlobTrainer: type[Trainer] = scope["BlobTrainer"]


def run_here(folder: Path, *more: str) -> None:
    trainer = BlobTrainer()
    words = [*OPTIONS.split(), "--output-dir", str(folder), *more]
    trainer.run(trainer.get_args_parser().parse_args(words))


def latest(folder: Path) -> dict:
    (path,) = folder.glob("pt/*/checkpoint_latest.pth")
    return torch.load(path, weights_only=True)


def run_twice(
    folder: Path,
    *more: str,
    restarts: int = 0,
    command: Sequence[str] = (),
    nodes: int = 1,
    **environment: str,
) -> str:
    """Train on two processes; what they print."""
    if not command:
        port = 0 if nodes == 1 else free_port()
        numbers = (nodes, 2 // nodes, port, restarts)
        command = (write(folder / "launcher.py", LAUNCHER), *map(str, numbers))
    words = [*OPTIONS.split(), "--output-dir", str(folder), "-b", "4", "--epochs", "3", *more]
    launchers = [
        subprocess.Popen(
            [sys.executable, *command, write(folder / "train.py", SCRIPT), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
        for _ in range(nodes)
    ]
    said = "".join(launcher.communicate(timeout=300)[0] for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [0] * nodes, said
    return said


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("two")
    return folder, run_twice(folder, command=TORCHRUN)


def test_two_processes_equal_one_with_twice_the_batch(two_processes, tmp_path):
    run_here(tmp_path, "-b", "8", "--epochs", "3")
    one, two = latest(tmp_path), latest(two_processes[0])
    torch.testing.assert_close(two["model"], one["model"])
    for tag in ("train_loss", "train_acc1"):
        assert two["history"]["scalars"][tag] == pytest.approx(one["history"]["scalars"][tag])


def test_synchronised_norms_equal_one_process(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    run_here(tmp_path / "one", "-b", "8", "--epochs", "3", "--sync-bn")
    run_twice(tmp_path / "two", "--sync-bn")
    one, two = latest(tmp_path / "one"), latest(tmp_path / "two")
    assert one["model"]["1.num_batches_tracked"] == 9
    torch.testing.assert_close(two["model"], one["model"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_killed_worker_is_started_again_and_changes_nothing(two_processes, tmp_path, nodes):
    options = ["--resume", "latest", "--checkpoint-every-steps", "1"]
    marker = tmp_path / "died"
    run_twice(tmp_path, *options, nodes=nodes, restarts=1, DIE_AT=f"5:{marker}")
    assert marker.exists()
    killed, whole = latest(tmp_path), latest(two_processes[0])
    assert killed["history"] == whole["history"]
    for name, value in whole["model"].items():
        assert torch.equal(killed["model"][name], value)
    for mine, theirs in zip(killed["rng"], whole["rng"], strict=True):
        assert torch.equal(mine["torch"], theirs["torch"])


def test_messages_come_from_one_process(two_processes):
    assert len(re.findall("epoch 1 train: loss=", two_processes[1])) == 1
    # 15 test samples do not divide by 2: one counts twice.
    assert "16 samples were counted, the set holds 15" in two_processes[1]


def test_random_states_of_both_processes_are_stored(two_processes):
    first, second = latest(two_processes[0])["rng"]
    assert not torch.equal(first["torch"], second["torch"])


def test_more_processes_need_a_launcher(tmp_path):
    with pytest.raises(OptionError, match="2 processes need a launcher, for example torchrun"):
        run_here(tmp_path, "--world-size", "2")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is present")
def test_missing_gpu_is_named(tmp_path):
    with pytest.raises(
        OptionError, match="cuda is not available on this machine; use --device cpu"
    ):
        run_here(tmp_path, "--device", "cuda")


def test_checkpoint_of_two_processes_resumes_on_one(two_processes, tmp_path, caplog):
    (path,) = two_processes[0].glob("pt/*/checkpoint_latest.pth")
    run_here(tmp_path, "-b", "8", "--epochs", "4", "--resume", str(path))
    assert latest(tmp_path)["history"]["epochs"] == [0, 1, 2, 3]
    assert "not bit for bit" in caplog.text


def test_who_loses_another_process_says_so_in_one_line(tmp_path):
    command = [write(tmp_path / "srun.py", SRUN)]
    said = run_twice(tmp_path, command=command, DIE_AT=f"2:{tmp_path / 'died'}")
    assert "process 0 ended with 2" in said and "process 1 ended with -9" in said
    assert re.search(
        r"^train.py: error: process 0 lost another process \(.*--resume latest$", said, re.M
    )
    assert "Traceback" not in said


@pytest.fixture
def alone_of_two(monkeypatch) -> Iterator[int]:
    """Variables of one process of a launch whose other one never starts; its port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for name, value in {"RANK": "0", "LOCAL_RANK": "0", **variables}.items():
            monkeypatch.setenv(name, value)
        yield port


def test_a_busy_port_is_named(alone_of_two, tmp_path):
    told = f"process 0 of 2 cannot join the others at 127.0.0.1:{alone_of_two}: .*in use"
    with pytest.raises(LaunchError, match=told):
        run_here(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_meeting_point_is_named(alone_of_two, tmp_path):
    with pytest.raises(LaunchError, match="cannot join the others at --dist-url nowhere://: No re"):
        run_here(tmp_path, "--dist-url", "nowhere://")


def test_other_errors_pass(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"), lost_processes_named():
        raise RuntimeError("a bug")


def test_processes_must_start_at_the_same_point(monkeypatch):
    monkeypatch.setattr("sj_train.distributed.all_gather", lambda point: [(2, 0), point])
    check_same_start(2, 0)
    told = "process 0 goes on at epoch 2, batch 0, but process 1 at epoch 0, batch 0: --output-dir"
    with pytest.raises(CheckpointError, match=told):
        check_same_start(0, 0)
