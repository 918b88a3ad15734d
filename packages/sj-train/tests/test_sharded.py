"""Runs of spread models (``--parallel fsdp``): their results, and checkpoints in parts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sj_train import CheckpointError, load_checkpoint
from sj_train.checkpoint import BEST, LATEST
from sj_train.cli.main import main as sj_train_command

# Starts many runs in forks of one process, which loads torch once.
SCRIPT = """
import glob, json, os, signal, sys, tempfile
import torch
import torch._inductor, torch.distributed.fsdp, torch.utils.tensorboard
from sj_neurons import neuron, surrogate
from sj_train import shard_reader, train_classify
from torch import nn
from torch.utils.data import DistributedSampler, SequentialSampler, TensorDataset

torch.set_num_threads(1)

class Blobs(TensorDataset):
    classes = ["a", "b", "c"]

def blobs(count):
    y = torch.arange(count) % 3
    noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return Blobs(noise + y.unsqueeze(1), y)

def fire():
    return neuron.ParametricLIFNode(step_mode="m", surrogate_function=surrogate.ATan())

class Stage(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.linear, self.norm, self.fire = nn.Linear(8, 8), norm, fire()
    def forward(self, x):
        return x + self.fire(self.norm(self.linear(x)))

class OverTime(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])

class BlobTrainer(train_classify.Trainer):
    def get_args_parser(self):
        parser = super().get_args_parser()
        parser.add_argument("--norm", action="store_true")
        parser.add_argument("--die", default="")
        return parser
    def load_data(self, args):
        train, test = blobs(24), blobs(16)
        if args.distributed:
            return train, test, *(DistributedSampler(d, shuffle=False) for d in (train, test))
        return train, test, SequentialSampler(train), SequentialSampler(test)
    def load_model(self, args, num_classes):
        norm = (lambda: OverTime(8)) if args.norm else nn.Identity
        stages = nn.Sequential(Stage(norm()), Stage(norm()))
        return nn.Sequential(nn.Linear(6, 8), fire(), stages, nn.Linear(8, num_classes))
    def set_optimizer(self, args, parameters):
        parameters = list(parameters)
        assert all(isinstance(parameter, nn.Parameter) for parameter in parameters)
        return super().set_optimizer(args, parameters)
    batches = 0
    def preprocess_train_sample(self, args, x):
        self.batches += 1
        if args.die == f"batch {args.rank} {self.batches}":
            os.kill(os.getpid(), signal.SIGKILL)
        return x.expand(4, *x.shape)
    def preprocess_test_sample(self, args, x):
        return x.expand(4, *x.shape)
    def process_model_output(self, args, y):
        broken = args.die == "nan" and args.rank == 1 and self.batches == 2
        return y.mean(0) * (float("nan") if broken else 1.0)

def die_while_writing(args):
    how, rank, count = args.die.split()
    writes = 0
    original = getattr(os, how)
    def counted(*arguments, **options):
        nonlocal writes
        writes += 1
        if writes == int(count) and args.rank == int(rank):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    setattr(os, how, counted)

OPTIONS = (
    "--device cpu -j 0 --mixup-alpha 0 --cutmix-alpha 0 --lr-warmup-epochs 1 --model net "
    "--opt adamw --lr 0.05 --clip-grad-norm 0.5 --epochs 2 --fsdp-min-params 30"
)

def run(rank, world, store, folder, words):
    sys.stderr = sys.stdout = open(f"{store}.{rank}", "w")
    os.dup2(sys.stderr.fileno(), 2)
    if world:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    trainer = BlobTrainer()
    parser = trainer.get_args_parser()
    batch = 8 // (world or 1)
    args = parser.parse_args(
        [*OPTIONS.split(), "-b", str(batch), "--output-dir", folder,
         "--dist-url", f"file://{store}", *words])
    args.rank, args.die = rank, args.die.replace("~", " ")
    if args.die.startswith(("replace", "fsync")):
        die_while_writing(args)
    trainer.main(args)

def latest(root, name):
    (path,) = glob.glob(os.path.join(root, name, "pt", "*", "checkpoint_latest.pth"))
    return path

def launch(root, name, world, words):
    words = [latest(root, w[1:]) if w.startswith("@") else w for w in words.split()]
    store = os.path.join(tempfile.mkdtemp(dir=root), "store")
    children = []
    for rank in range(world or 1):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run(rank, world, store, os.path.join(root, name), words)
                status = 0
            except SystemExit as end:
                status = end.code
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            os._exit(status)
        children.append(child)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    texts = []
    for rank in range(world or 1):
        with open(f"{store}.{rank}") as file:
            texts.append(file.read())
    with open(os.path.join(root, f"{name}.json"), "w") as file:
        json.dump({"ends": ends, "texts": texts}, file)

if __name__ == "__main__":
    root = sys.argv[1]
    runs = json.loads(sys.argv[2])
    for entry in runs:
        launch(root, *entry)
"""
FSDP = "--parallel fsdp"
EMA = " --model-ema --model-ema-steps 2"
NORM = " --norm" + EMA
SYNC = " --norm --sync-bn --opt sgd"
EVERY = f"{FSDP + NORM} --checkpoint-every-steps 1 --resume latest"
# Name, processes (0: no launcher), options.
RUNS = [
    ("ddp", 2, NORM),
    ("fsdp", 2, FSDP + NORM),
    ("synchronised one", 0, SYNC),
    ("synchronised", 2, FSDP + SYNC),
    # Killed on either process, in training and while writing, and started again.
    ("killed", 2, EVERY + " --die batch~1~2"),
    ("killed", 2, EVERY + " --die replace~0~2"),
    ("killed", 2, EVERY),
]
MORE_RUNS = [
    ("one", 0, EMA),
    ("two", 2, FSDP + EMA),
    ("one group", 2, FSDP + EMA + " --fsdp-min-params 1000"),
    ("blocks", 2, FSDP + NORM + " --checkpoint-blocks"),
    ("chunks", 2, FSDP + EMA + " --time-chunk 3"),
    ("accumulated", 2, FSDP + EMA + " -b 2 --grad-accum-steps 2"),
    ("compiled", 2, FSDP + EMA + " --compile --compile-backend aot_eager"),
    ("ddp in bf16", 2, "--amp-dtype bf16"),
    ("fsdp in bf16", 2, FSDP + " --amp-dtype bf16"),
    ("killed again", 2, EVERY + " --die fsync~1~2"),
    ("killed again", 2, EVERY + " --die fsync~0~4"),
    ("killed again", 2, EVERY + " --die batch~0~4"),
    ("killed again", 2, EVERY),
    ("broken", 2, FSDP + " --die nan"),
    ("tested", 2, f"{FSDP + NORM} --test-only --resume @fsdp"),
    # Runs of two epochs go on with a third, in another way.
    ("fsdp to fsdp", 2, f"{FSDP + EMA} --epochs 3 --resume @two"),
    ("fsdp to one", 0, f"{EMA} --epochs 3 --resume @two"),
    ("fsdp to one part", 1, f"{FSDP + EMA} --epochs 3 --resume @two"),
    ("fsdp to ddp", 2, f"{EMA} --epochs 3 --resume @two"),
    ("one to fsdp", 2, f"{FSDP + EMA} --epochs 3 --resume @one"),
]


def start(root: Path, runs: list[tuple[str, int, str]]) -> None:
    script = root / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(root), json.dumps(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs by their names."""
    folder = tmp_path_factory.mktemp("runs")
    start(folder, RUNS)
    return folder


@pytest.fixture(scope="module")
def more(root: Path) -> Path:
    start(root, MORE_RUNS)
    return root


def outcome(root: Path, name: str) -> tuple[list[int], list[str]]:
    """Exit statuses and messages of the last run with that name."""
    results = json.loads((root / f"{name}.json").read_text())
    return results["ends"], results["texts"]


def folder_of(root: Path, name: str) -> Path:
    assert not any(outcome(root, name)[0]), outcome(root, name)[1]
    (folder,) = (root / name).glob("pt/*")
    return folder


def content(root: Path, name: str) -> dict:
    return load_checkpoint(folder_of(root, name) / LATEST)


def assert_same(one: dict, other: dict, tolerance: float = 0.0) -> None:
    for key in ("model", "optimizer", "model_ema"):
        mine, theirs = dict(one.get(key, {})), dict(other.get(key, {}))
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    mine, theirs = one["history"]["scalars"], other["history"]["scalars"]
    assert mine.keys() == theirs.keys()
    for tag, values in mine.items():
        assert values == pytest.approx(theirs[tag], rel=tolerance)


def test_spread_model_learns_what_a_whole_one_does(root):
    """Clipped gradients, the average and running statistics of BatchNorm included."""
    assert_same(content(root, "fsdp"), content(root, "ddp"))


def test_two_processes_equal_one_with_twice_the_batch(root):
    assert_same(content(root, "synchronised"), content(root, "synchronised one"), 1e-5)


def test_killed_run_goes_on_as_if_nothing_had_been(root):
    killed, whole = content(root, "killed"), content(root, "fsdp")
    assert_same(killed, whole)
    for mine, theirs in zip(killed["rng"], whole["rng"], strict=True):
        assert torch.equal(mine["torch"], theirs["torch"])


def test_parts_that_no_checkpoint_names_are_removed(root):
    for name in ("fsdp", "killed"):
        folder = folder_of(root, name)
        named = {torch.load(path)["shards"] for path in folder.glob("*.pth")}
        assert {path.name for path in folder.glob("*.shards")} == named
        assert named <= {"checkpoint_0.shards", "checkpoint_1.shards"}


def test_each_process_writes_its_part_and_the_file_stays_small(root):
    folder = folder_of(root, "fsdp")
    small = torch.load(folder / LATEST, weights_only=True)
    parts = folder / small["shards"]
    assert sorted(path.name for path in parts.iterdir()) == [
        ".metadata", "__0_0.distcp", "__1_0.distcp",
    ]  # fmt: skip
    assert small["model"]["0.weight"].is_meta
    assert small["model"]["0.weight"].shape == (8, 6)
    assert small["model"]["2.0.norm.running_mean"].device.type == "cpu"
    assert load_checkpoint(folder / BEST)["max_test_acc1"] == small["max_test_acc1"]


def test_merged_file_holds_everything(root, tmp_path, capsys):
    source = folder_of(root, "fsdp") / LATEST
    sj_train_command(["merge", str(source), "--output", str(tmp_path / "whole.pth")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "whole.pth")
    whole = torch.load(tmp_path / "whole.pth", weights_only=True)
    assert_same(whole, content(root, "ddp"))
    assert "shards" not in whole
    assert list(whole["model"]) == list(content(root, "ddp")["model"])


def alone(root: Path, folder: Path, *, with_parts: bool = True) -> tuple[Path, Path]:
    """A copy of a checkpoint, and where its parts are."""
    source = folder_of(root, "fsdp") / LATEST
    parts = torch.load(source)["shards"]
    if with_parts:
        shutil.copytree(source.parent / parts, folder / parts)
    return Path(shutil.copy(source, folder)), folder / parts


def test_missing_parts_are_named(root, tmp_path):
    path, parts = alone(root, tmp_path, with_parts=False)
    with pytest.raises(CheckpointError, match=f"{parts} is missing or incomplete"):
        load_checkpoint(path)


@pytest.mark.parametrize("file", ["__0_0.distcp", "__1_0.distcp", ".metadata"])
@pytest.mark.parametrize("harm", ["cut", "empty", "gone"])
def test_damaged_parts_are_named(root, tmp_path, file, harm):
    path, parts = alone(root, tmp_path)
    data = (parts / file).read_bytes()
    (parts / file).unlink()
    if harm != "gone":
        (parts / file).write_bytes(data[: len(data) // 2] if harm == "cut" else b"")
    with pytest.raises(CheckpointError, match=f"{parts} is ") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_parts_of_another_model_are_refused(root, tmp_path):
    path, _ = alone(root, tmp_path)
    stored = torch.load(path)
    stored["model"]["0.weight"] = torch.empty(9, 6, device="meta")
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=r"of another model: .*model/0\.weight"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", [None, "../elsewhere"])
def test_folder_of_parts_lies_beside_the_file(root, tmp_path, name):
    path, _ = alone(root, tmp_path)
    stored = torch.load(path) | {"shards": name}
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match="does not name the folder of its parts"):
        load_checkpoint(path)


@pytest.mark.slow
class TestMoreRuns:
    @pytest.mark.parametrize("name", ["one group", "chunks", "accumulated", "compiled", "one"])
    def test_same_result(self, more, name):
        assert_same(content(more, name), content(more, "two"), 1e-5)

    def test_blocks_computed_again(self, more):
        assert_same(content(more, "blocks"), content(more, "fsdp"), 1e-5)

    def test_mixed_precision(self, more):
        assert_same(content(more, "fsdp in bf16"), content(more, "ddp in bf16"), 1e-5)

    def test_killed_again_and_again(self, more):
        assert_same(content(more, "killed again"), content(more, "fsdp"))

    @pytest.mark.parametrize(
        "name", ["fsdp to one", "fsdp to one part", "fsdp to ddp", "one to fsdp"]
    )
    def test_going_on_in_another_way(self, more, name):
        assert_same(content(more, name), content(more, "fsdp to fsdp"), 1e-5)

    def test_stored_weights_are_tested(self, more):
        scores = content(more, "fsdp")["history"]["scalars"]["test_loss"][-1]
        (_, texts) = outcome(more, "tested")
        assert f"test: loss={scores:.4f}" in texts[0]

    def test_broken_loss_ends_both_processes(self, more):
        ends, texts = outcome(more, "broken")
        assert ends == [2, 2]
        assert "another process has a broken loss at epoch 0, batch 1" in texts[0]
        assert "the loss is nan at epoch 0, batch 1" in texts[1]
