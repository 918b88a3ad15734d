"""Bad input of every command: one line that names it, status 2, nothing lost or half written."""

from __future__ import annotations

import gzip
import resource
import shutil
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import sj_datasets
from sj_train import cli
from sj_train.recipes import (
    classify,
    classify_dvsg,
    conv_fashion_mnist,
    lif_digits,
    pretrain_mae,
    rsnn_sequential_fmnist,
    train_imagenet_example,
    train_reconstruction,
)
from sj_train.train_classify import Trainer
from sj_train.train_classify import main as plain_main

Main = Callable[[list[str]], None]

SCRIPT = """
import torch
from torch import nn
from sj_neurons import neuron
from sj_train.train_classify import Trainer

class Net(Trainer):
    def get_args_parser(self, add_help=True):
        parser = super().get_args_parser()
        parser.add_argument("--hidden", type=int, default=8)
        return parser

    def get_tb_logdir_name(self, args):
        return "run"

    def load_model(self, args, num_classes):
        return nn.Sequential(
            nn.Flatten(2), nn.Linear(192, args.hidden), neuron.IFNode(step_mode="m"),
            nn.Linear(args.hidden, num_classes))
"""
SCRIPT_NAME = "net_of_bad_input"
CALM = [
    "--data-path", "pictures", "--device", "cpu", "--T", "2", "-b", "4", "-j", "0", "--epochs", "1",
    "--auto-augment", "none", "--train-crop-size", "8", "--val-resize-size", "8",
    "--val-crop-size", "8",
]  # fmt: skip


@pytest.fixture
def place(tmp_path, image_root, monkeypatch) -> Iterator[Path]:
    """A folder with a Trainer script, pictures, and bad files of all kinds; the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["net.py"])
    (tmp_path / f"{SCRIPT_NAME}.py").write_text(SCRIPT)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_text("no checkpoint")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "foreign.pth")
    shutil.copytree(image_root, tmp_path / "uneven")
    (tmp_path / "uneven" / "val" / "green").mkdir()
    shutil.copy(image_root / "val" / "red" / "0.png", tmp_path / "uneven" / "val" / "green")
    shutil.copytree(image_root, tmp_path / "damaged")
    for path in (tmp_path / "damaged").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:40])
    yield tmp_path
    sys.modules.pop(SCRIPT_NAME, None)


def script_main(words: list[str]) -> None:
    """What ``python net.py`` does."""
    scope: dict = {"__name__": SCRIPT_NAME}
    exec(compile(SCRIPT, SCRIPT_NAME, "exec"), scope)
    trainer: Trainer = scope["Net"]()
    trainer.main(trainer.get_args_parser().parse_args(words))


def trained(*more: str, main: Main = script_main) -> None:
    main([*CALM, *more])


def refused(capsys: pytest.CaptureFixture[str], run: Callable[[], None]) -> str:
    """The line that the command ended with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run()
    said = capsys.readouterr().err
    assert end.value.code == 2, said
    assert said.count("\n") == 1 and said.endswith("\n"), said
    assert ": error: " in said and "Traceback" not in said
    return said


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Files cannot grow beyond ``size`` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # Python would cut it short
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = bytecode


TRAINER_CASES = {
    "unknown flag": ("--epoch-s 3", "--epoch-s"),
    "value of the wrong type": ("--epochs three", "--epochs: invalid int value: 'three'"),
    "value out of range": ("--epochs 0", "--epochs: must be at least 1"),
    "unknown choice": ("--amp-dtype fp8", "invalid choice: 'fp8'"),
    "device": ("--device cuda:77", "cuda:77"),
    "unknown device": ("--device gpu", "--device"),
    "no data": ("--data-path nowhere", "nowhere/train does not exist"),
    "damaged data": ("--data-path damaged", "cannot read the image damaged/"),
    "no such config": ("--config nowhere.toml", "nowhere.toml"),
    "missing checkpoint": ("--resume nowhere.pth", "nowhere.pth does not exist"),
    "empty checkpoint": ("--resume empty.pth", "empty.pth is damaged or no torch file"),
    "text as checkpoint": ("--resume text.pth", "text.pth is damaged or"),
    "foreign checkpoint": ("--resume foreign.pth", "foreign.pth is no training checkpoint"),
    "checkpoint is a folder": ("--resume pictures", "pictures"),
    "classes differ": ("--data-path uneven", "the test data 3; not in both: green"),
    "output below a file": ("--output-dir file/out", "cannot write in"),
    "less than a batch": ("-b 13", "12 samples per process, less than one batch of 13"),
    "no launcher": ("--world-size 2", "--world-size: 2 processes need a launcher"),
}


@pytest.mark.parametrize("case", TRAINER_CASES)
def test_trainer_script(place, capsys, case):
    words, told = TRAINER_CASES[case]
    assert told in refused(capsys, lambda: trained(*words.split()))
    assert not list(place.rglob("*.pth.*")) and not list(place.glob("logs/pt/*/*.pth"))


@pytest.mark.parametrize("words", ["--epochs three", "--data-path nowhere", "--resume text.pth"])
def test_the_same_by_sj_train(place, capsys, words):
    def run(more: list[str]) -> None:
        cli.main(["run", f"{SCRIPT_NAME}.py", *more])

    assert words.split()[1] in refused(capsys, lambda: trained(*words.split(), main=run))


def test_plain_trainer(capsys):
    assert "load_model" in refused(capsys, lambda: plain_main(["--device", "cpu"]))
    assert "--no-such" in refused(capsys, lambda: plain_main(["--no-such"]))


def test_wrong_number_of_processes(place, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "RANK" in refused(capsys, trained)


def test_earlier_run_stays(place, capsys):
    trained()
    before = contents(place / "logs")
    said = refused(capsys, trained)
    assert "--resume latest" in said and "--clean" in said
    assert contents(place / "logs") == before


def test_checkpoint_of_another_net(place, capsys):
    trained()
    latest = "logs/pt/run/checkpoint_latest.pth"
    before = contents(place / "logs")
    more = ("--hidden", "4", "--resume", latest, "--epochs", "2")
    assert "1.weight" in refused(capsys, lambda: trained(*more))
    assert contents(place / "logs") == before


def test_full_disk_keeps_the_last_checkpoint(place, capsys):
    trained()
    latest = place / "logs" / "pt" / "run" / "checkpoint_latest.pth"
    before = latest.read_bytes()
    with small_files(8000):
        said = refused(capsys, lambda: trained("--resume", "latest", "--epochs", "2"))
    assert "cannot write" in said
    assert latest.read_bytes() == before
    assert not list(latest.parent.glob(".*"))
    trained("--resume", "latest", "--epochs", "2")  # with room again it goes on
    assert torch.load(latest, weights_only=True)["epoch"] == 1


COMMAND_CASES = {
    "no command": ("", "COMMAND"),
    "unknown command": ("train", "invalid choice: 'train'"),
    "run without a target": ("run nowhere.py", "nowhere.py does not exist"),
    "run a text file": ("run file", "file"),
    "evaluate: no checkpoint": ("evaluate SCRIPT nowhere.pth", "nowhere.pth does not exist"),
    "evaluate: foreign": ("evaluate SCRIPT foreign.pth", "foreign.pth is no training checkpoint"),
    "evaluate: no data": ("evaluate SCRIPT LATEST --data-path nowhere", "nowhere/train"),
    "evaluate: classes": ("evaluate SCRIPT LATEST --data-path three", "shape of 3.weight"),
    "export: format": ("export SCRIPT LATEST --format gif --shape 1", "invalid choice: 'gif'"),
    "export: empty": ("export SCRIPT empty.pth --format nir --shape 2,1,3,8,8", "empty.pth"),
    "export: shape": ("export SCRIPT LATEST --format nir --shape 2,1,3,9,9", "does not take"),
    "export: classes": (
        "export SCRIPT LATEST --format torch --shape 2,1,3,8,8 --classes 5", "shape of 3.weight",
    ),
    "export: output": (
        "export SCRIPT LATEST --format torch --shape 2,1,3,8,8 --output file/x.pt2", "file",
    ),
    "plot: no log": ("plot nowhere", "nowhere does not exist"),
    "plot: text": ("plot file", "file"),
    "plot: output": ("plot logs/run --output file/x.png", "file"),
    "summary: no log": ("summary nowhere", "nowhere does not exist"),
    "summary: text": ("summary text.pth", "text.pth"),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMAND_CASES)
def test_sj_train(place, capsys, case):
    words, told = COMMAND_CASES[case]
    if "LATEST" in words or "logs" in words:
        trained()
    if "three" in words:
        shutil.copytree("uneven", "three")
        shutil.copytree("three/val/green", "three/train/green")
    words = words.replace("LATEST", "logs/pt/run/checkpoint_latest.pth")
    words = words.replace("SCRIPT", f"{SCRIPT_NAME}.py")
    before = contents(place)
    assert told in refused(capsys, lambda: cli.main(words.split()))
    after = contents(place)
    assert {k: v for k, v in after.items() if "__pycache__" not in k} == before


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_export_to_a_full_disk(place, capsys, kind):
    trained()
    latest = "logs/pt/run/checkpoint_latest.pth"
    words = ["export", f"{SCRIPT_NAME}.py", latest, "--format", kind, "--shape", "2,1,3,8,8"]
    with small_files(2000):
        assert "cannot write" in refused(capsys, lambda: cli.main(words))
    assert {path.suffix for path in Path("logs/pt/run").iterdir()} == {".pth"}


def test_plot_to_a_full_disk(place, capsys):
    trained()
    with small_files(2000):
        assert "cannot write" in refused(capsys, lambda: cli.main(["plot", "logs/run"]))
    assert not list(place.glob("*.png")) and not list(place.glob(".*.tmp"))


# The three scripts of the notes

SCRIPTS: dict[str, Main] = {
    "conv_fashion_mnist": conv_fashion_mnist.main,
    "rsnn_sequential_fmnist": rsnn_sequential_fmnist.main,
    "classify_dvsg": classify_dvsg.main,
}
SCRIPT_CASES = {
    "unknown flag": ("--fake-data -epoch-s 3", "-epoch-s"),
    "value of the wrong type": ("--fake-data -b many", "-b: invalid int value: 'many'"),
    "value out of range": ("--fake-data -epochs 0", "-epochs: must be at least 1"),
    "no optimizer": ("-data-dir x", "-opt: is required, sgd or adam"),
    "device": ("--fake-data -device cuda:77", "cuda:77 is not available"),
    "no data": ("-opt sgd -data-dir nowhere", "nowhere"),
    "missing checkpoint": ("--fake-data -resume nowhere.pth", "nowhere.pth does not exist"),
    "empty checkpoint": ("--fake-data -resume empty.pth", "empty.pth is damaged"),
    "text as checkpoint": ("--fake-data -resume text.pth", "text.pth is damaged"),
    "foreign checkpoint": ("--fake-data -resume foreign.pth", "foreign.pth is no checkpoint of"),
    "output below a file": ("--fake-data -out-dir file/out", "file/out"),
    "less than a batch": ("--fake-data -b 600", "less than one batch of 600; lower -b"),
}


@pytest.fixture(scope="module")
def fake_data(tmp_path_factory) -> Path:
    """Folder of the synthetic copies that ``--fake-data`` would write for each test again."""
    root = tmp_path_factory.mktemp("fake")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sj_datasets.FashionMNIST(root / "FashionMNIST", fake=True)
    return root


@pytest.fixture
def scripts_place(place, fake_data) -> Path:
    (place / "logs").mkdir()
    (place / "logs" / "fake_data").symlink_to(fake_data)
    return place


@pytest.mark.parametrize("case", SCRIPT_CASES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_of_the_notes(scripts_place, capsys, script, case):
    words, told = SCRIPT_CASES[case]
    argv = ["-device", "cpu", "-j", "0", *words.split()]
    if script == "classify_dvsg":
        argv += ["-T", "1"]  # few frames to cut
    assert told in refused(capsys, lambda: SCRIPTS[script](argv))
    assert not list(scripts_place.glob("logs/*/*.pth"))


SMALL = ["--fake-data", "-device", "cpu", "-b", "128", "-channels", "8", "-epochs", "1", "-T", "1"]


def test_scripts_on_a_full_disk(scripts_place, capsys):
    conv_fashion_mnist.main(SMALL)
    (folder,) = scripts_place.glob("logs/T1_*")
    latest = folder / "checkpoint_latest.pth"
    before = latest.read_bytes()
    more = [*SMALL, "-epochs", "2", "-resume", str(latest)]
    with small_files(40_000):
        assert "cannot write" in refused(capsys, lambda: conv_fashion_mnist.main(more))
    assert latest.read_bytes() == before
    assert not list(folder.glob(".*"))
    draw = ["-b", "1", "-resume", str(latest), "-save-es", "pictures_of_spikes"]
    with small_files(1000):
        said = refused(capsys, lambda: conv_fashion_mnist.main([*SMALL, *draw]))
    assert "cannot write" in said
    assert not list(Path("pictures_of_spikes").iterdir())


def test_more_classes_than_the_net_has(scripts_place, capsys):
    raw = scripts_place / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 128), ("t10k", 128)):
        images = struct.pack(">4i", 2051, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">2i", 2049, count) + bytes([11] * count)
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            (raw / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    argv = ["-device", "cpu", "-j", "0", "-opt", "adam", "-data-dir", "data", "-channels", "8"]
    said = refused(capsys, lambda: conv_fashion_mnist.main(argv))
    assert "label" in said or "class 11" in said


OTHERS: dict[str, Main] = {
    "lif_digits": lif_digits.main,
    "train_imagenet_example": train_imagenet_example.main,
    "classify": lambda words: classify.main(["--dataset", "NMNIST", *words]),
    "pretrain_mae": pretrain_mae.main,
    "train_reconstruction": train_reconstruction.main,
}


@pytest.mark.parametrize("recipe", OTHERS)
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--no-such", "--no-such"),
        ("--epochs 0", "epochs"),
        ("--device cuda:77", "cuda:77"),
        ("--device gpu", "gpu"),
        ("--resume text.pth", "text.pth is damaged"),
        ("--output-dir file/out", "file/out"),
    ],
)
def test_other_recipes(place, capsys, recipe, words, told):
    argv = ["--fake-data", "--device", "cpu", *words.split()]
    assert told in refused(capsys, lambda: OTHERS[recipe](argv))
    assert not list(place.glob("logs/**/*.pth"))
