"""The core works without any extra: what only an extra brings is hidden from a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HIDDEN = (
    "sj_layers", "sj_models", "sj_datasets", "sj_nir", "sz_models", "PIL", "kornia", "yaml",
    "sklearn", "matplotlib", "onnx", "onnxscript",
)  # fmt: skip

PROGRAM = """
import importlib, pkgutil, sys
from pathlib import Path

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            return None
        return self.finder.find_spec(name, path, target)

    def invalidate_caches(self):
        getattr(self.finder, "invalidate_caches", lambda: None)()

sys.meta_path[:] = [Hiding(f) for f in sys.meta_path if hasattr(f, "find_spec")]
import sj_train
modules = [m.name for m in pkgutil.walk_packages(sj_train.__path__, "sj_train.")]
for name in modules:
    if not name.endswith("__main__"):
        importlib.import_module(name)

import torch
from torch import nn
from torch.utils.data import TensorDataset
from sj_neurons import neuron
from sj_train.loaders import build_samplers
from sj_train.train_classify import Trainer

class Net(Trainer):
    def get_tb_logdir_name(self, args):
        return "net"

    def load_data(self, args):
        y = torch.arange(16) % 2
        sets = [TensorDataset(torch.rand(16, 3) + y[:, None], y) for _ in range(2)]
        for data in sets:
            data.classes = ["a", "b"]
        return *sets, *build_samplers(args, *sets)

    def load_model(self, args, num_classes):
        return nn.Sequential(neuron.LIFNode(step_mode="m"), nn.Linear(3, num_classes))

words = "--device cpu -j 0 -b 4 --epochs 1 --T 2 --mixup-alpha 0 --cutmix-alpha 0 --output-dir"
trainer = Net()
history = trainer.run(trainer.get_args_parser().parse_args([*words.split(), "out"]))
print("trained", history.epochs, len(list(Path("out").glob("pt/*/checkpoint_latest.pth"))))

from sj_train.cli import main
for words in sys.argv[2:]:
    try:
        main(words.split())
        print("status 0")
    except SystemExit as end:
        print("status", end.code)
"""


def run(folder: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(HIDDEN), *commands],
        capture_output=True, text=True, cwd=folder, timeout=120, env=os.environ,
    )  # fmt: skip


def test_core_trains_and_names_the_extra_that_is_missing(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom sj_train.train_classify import Trainer\n"
        "class Net(Trainer):\n"
        "    def load_model(self, args, num_classes):\n"
        "        return nn.Linear(2, num_classes)\n"
    )
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            (tmp_path / "data" / part / name / "0.png").write_bytes(b"")
    (tmp_path / "o.yaml").write_text("lr: 1.0")
    fake = "--fake-data -device cpu"
    commands = {
        "run net.py --data-path data --device cpu -j 0 -b 1 --auto-augment none": "images",
        "run net.py --config o.yaml": "recipes",
        f"run conv_fashion_mnist {fake}": "recipes",
        f"run rsnn_sequential_fmnist {fake}": "recipes",
        f"run classify_dvsg {fake}": "recipes",
        "run lif_digits": "digits",
        "run train_imagenet_example --fake-data --device cpu": "images",
        "run classify --fake-data --device cpu": "recipes",
        "run from_config x.json --fake-data --device cpu": "recipes",
        "run pretrain_mae --fake-data --device cpu": "images",
        "run train_reconstruction --fake-data --device cpu": "reconstruction",
        "plot out/net --output c.png": "plot",
    }
    done = run(tmp_path, *commands)
    assert done.returncode == 0, done.stderr
    assert "trained [0] 1" in done.stdout
    assert done.stdout.count("status 2") == len(commands), done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == len(commands), done.stderr
    for line, (command, extra) in zip(lines, commands.items(), strict=True):
        assert f"sj-train[{extra}]" in line, (command, line)
