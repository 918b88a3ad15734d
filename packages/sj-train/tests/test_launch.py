from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Timer

import pytest
import torch

from sj_train import load_checkpoint
from sj_train.errors import CheckpointError, LaunchError, OptionError
from sj_train.launch import check_same_start, lost_processes_named
from sj_train.train_classify import Trainer

# Two processes with batches of b see, step by step, the samples one process sees with 2 b.
SCRIPT = """
import os, signal, sys
import torch
from sj_neurons import neuron, surrogate
from sj_train import train_classify
from torch import nn
from torch.utils.data import DistributedSampler, SequentialSampler, TensorDataset

class Blobs(TensorDataset):
    classes = ["a", "b", "c"]
    def __getitem__(self, index):
        if str(index) == os.environ.get("DAMAGED"):
            raise ValueError(f"file {index} is damaged")
        return super().__getitem__(index)

def blobs(count):
    y = torch.arange(count) % 3
    noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return Blobs(noise + y.unsqueeze(1), y)

class OverTime(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])

class BlobTrainer(train_classify.Trainer):
    def get_args_parser(self, add_help=True):
        parser = super().get_args_parser(add_help)
        parser.add_argument("--own-norm", action="store_true")
        return parser
    def load_data(self, args):
        train, test = blobs(24), blobs(15)
        if args.distributed:
            return train, test, *(DistributedSampler(d, shuffle=False) for d in (train, test))
        return train, test, SequentialSampler(train), SequentialSampler(test)
    def load_model(self, args, num_classes):
        fire = neuron.IFNode(step_mode="m", surrogate_function=surrogate.ATan())
        norm = OverTime(8) if args.sync_bn or args.own_norm else nn.Identity()
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
    shared, *runs = " ".join(sys.argv[1:]).split(" + ")
    for more in runs or [""]:
        trainer.main(trainer.get_args_parser().parse_args(f"{shared} {more}".split()))
"""
# Starts what follows in forks, which need not import torch and what its optimizer steps import.
SERVER = """
import json, os, runpy, sys
import torch._dynamo, torch._inductor.config, torch.distributed.launcher.api
import sj_train.train_classify

for line in sys.stdin:
    words, environment, output = json.loads(line)
    if (child := os.fork()) == 0:
        os.environ.update(environment)
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1), os.dup2(file, 2)
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# What torchrun does, on one machine or as two that meet at a port.
LAUNCHER = """
import os, runpy, sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

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
    other = os.fork() if nodes == 2 else None
    elastic_launch(config, work)(script, words)
    if other:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""
# What srun does without torchrun: nobody stops the others when one dies.
SRUN = """
import os, runpy, socket, sys

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
    print("process", workers[worker], "ended with", os.waitstatus_to_exitcode(status), flush=True)
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


Start = Callable[..., str]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Runs a script of this file in a fork of a process that has imported torch."""
    folder = tmp_path_factory.mktemp("scripts")
    with subprocess.Popen(
        [sys.executable, write(folder / "server.py", SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        clock = Timer(900, os.killpg, (server.pid, signal.SIGKILL))
        clock.start()
        yield partial(ask, server, folder)
        clock.cancel()


def ask(
    server: subprocess.Popen[str], folder: Path, script: str, *words: str, **environment: str
) -> str:
    """Run ``script`` in a fork of ``server``; what it printed."""
    assert server.stdin is not None and server.stdout is not None
    told = folder / "told.txt"
    told.unlink(missing_ok=True)
    path = write(folder / "script.py", script)
    print(json.dumps([[path, *words], environment, str(told)]), file=server.stdin, flush=True)
    status = server.stdout.readline().strip()
    assert status == "0", told.read_text()
    return told.read_text()


def words_for(folder: Path, *more: str) -> list[str]:
    script = write(folder / "train.py", SCRIPT)
    return [
        script,
        *OPTIONS.split(),
        "--output-dir",
        str(folder),
        "-b",
        "4",
        "--epochs",
        "3",
        *more,
    ]


def run_twice(
    start: Start, folder: Path, *more: str, restarts: int = 0, nodes: int = 1, **environment: str
) -> str:
    """Train on two processes; what they print."""
    numbers = (nodes, 2 // nodes, 0 if nodes == 1 else free_port(), restarts)
    return start(LAUNCHER, *map(str, numbers), *words_for(folder, *more), **environment)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [sys.executable, *TORCHRUN, *words_for(folder)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_two_processes_equal_one_with_twice_the_batch(two_processes, tmp_path):
    run_here(tmp_path, "-b", "8", "--epochs", "3")
    one, two = latest(tmp_path), latest(two_processes[0])
    torch.testing.assert_close(two["model"], one["model"])
    for tag in ("train_loss", "train_acc1"):
        assert two["history"]["scalars"][tag] == pytest.approx(one["history"]["scalars"][tag])


def test_synchronised_norms_equal_one_process(start, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    run_here(tmp_path / "one", "-b", "8", "--epochs", "3", "--sync-bn")
    run_twice(start, tmp_path / "two", "--sync-bn")
    one, two = latest(tmp_path / "one"), latest(tmp_path / "two")
    assert one["model"]["1.num_batches_tracked"] == 9
    torch.testing.assert_close(two["model"], one["model"], rtol=1e-4, atol=1e-5)


MEMORY = [
    "--time-chunk 3",
    "--tbptt 2",
    "--checkpoint-blocks",
    "--checkpoint-blocks --sync-bn",
    "--grad-accum-steps 2",
    "--grad-accum-steps 3 --time-chunk 2",
    "--grad-accum-steps 2 --checkpoint-blocks --sync-bn --clip-grad-norm 0.1",
]


def test_running_statistics_and_their_average_are_those_of_process_0(start, tmp_path):
    # Each process normalises its own batch; the test scores of all come from the same numbers.
    words = ["--model-ema", "--model-ema-steps", "1", "--own-norm"]
    run_twice(start, tmp_path, *words, "--checkpoint-every-steps", "2")
    (folder,) = tmp_path.glob("pt/*")
    said = start(SRUN, *words_for(tmp_path, *words, "--test-only", "--resume", "latest"))
    tested = re.findall(r"test(?: EMA)?: (loss=\S+)", said)
    trained = load_checkpoint(folder / "checkpoint_latest.pth")["history"]["scalars"]
    expected = [f"loss={trained[tag][-1]:.4f}" for tag in ("test_loss", "ema_test_loss")]
    assert tested == expected


def test_options_that_save_memory_equal_one_process(start, tmp_path):
    runs = [f"{words} --output-dir {tmp_path / str(i)}" for i, words in enumerate(MEMORY)]
    run_twice(start, tmp_path, *" + ".join(["", *runs]).split())
    for i, words in enumerate(MEMORY):
        run_here(tmp_path / f"one {i}", "-b", "8", "--epochs", "3", *words.split())
        one, two = latest(tmp_path / f"one {i}"), latest(tmp_path / str(i))
        torch.testing.assert_close(
            two["model"], one["model"], rtol=1e-4, atol=1e-5, msg=lambda told, i=i: MEMORY[i] + told
        )


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_killed_worker_is_started_again_and_changes_nothing(
    start, two_processes, tmp_path, nodes
):
    options = ["--resume", "latest", "--checkpoint-every-steps", "1"]
    marker = tmp_path / "died"
    run_twice(start, tmp_path, *options, nodes=nodes, restarts=1, DIE_AT=f"5:{marker}")
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


def test_who_loses_another_process_says_so_in_one_line(start, tmp_path):
    said = start(SRUN, *words_for(tmp_path), DIE_AT=f"2:{tmp_path / 'died'}")
    assert "process 0 ended with 2" in said and "process 1 ended with -9" in said
    told = r"^train.py: error: process 0 lost another process \(.*--resume latest$"
    assert re.search(told, said, re.MULTILINE)
    assert "Traceback" not in said


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_sample_ends_both_processes_in_one_line(start, tmp_path, workers):
    said = start(SRUN, *words_for(tmp_path, "-j", workers), DAMAGED="5")
    assert "process 0 ended with 2" in said and "process 1 ended with 2" in said
    assert "train.py: error: a sample cannot be read: file 5 is damaged\n" in said
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
