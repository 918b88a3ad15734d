from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from onnx.reference import ReferenceEvaluator
from PIL import Image

import sj_nir
from sj_train.cli import main
from sj_train.cli.plot import draw_curves
from sj_train.read_log import read_log

TRAINER = """
from torch import nn
from sj_neurons import neuron, surrogate
from sj_train.train_classify import Trainer

class Net(Trainer):
    def load_model(self, args, num_classes):
        return nn.Sequential(
            nn.Flatten(2), nn.Linear(192, 8),
            neuron.IFNode(step_mode="m", surrogate_function=surrogate.ATan()),
            nn.Linear(8, num_classes))

if __name__ == "__main__":
    trainer = Net()
    trainer.main(trainer.get_args_parser().parse_args())
"""
NAME = "net_b4_e2_sgd_lr0.1_wd0.0_ls0.1_ma0.2_ca1.0_sbn0_ra0_re0.1_aaugnone_size8_8_8_seed2020"


@pytest.fixture
def target(tmp_path, monkeypatch) -> str:
    name = f"my_net_{tmp_path.name.replace('-', '_')}"
    path = tmp_path / f"{name}.py"
    path.write_text(TRAINER)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["sj-train"])
    yield str(path)
    sys.modules.pop(name, None)


@pytest.fixture
def trained(target, image_root, tmp_path, capsys) -> Path:
    words = (
        f"--data-path {image_root} --output-dir {tmp_path}/out --model net --device cpu --T 2 "
        "-b 4 -j 0 --epochs 2 --train-crop-size 8 --val-resize-size 8 --val-crop-size 8 "
        "--auto-augment none --model-ema"
    )
    main(["run", target, *words.split()])
    capsys.readouterr()
    return tmp_path / "out" / "pt" / NAME / "checkpoint_latest.pth"


def fails(capsys, *words: object) -> str:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("sj-train")
    return err


def test_evaluate_repeats_the_last_epoch(target, trained, tmp_path, capsys):
    main(["evaluate", target, str(trained)])
    scores = json.loads(capsys.readouterr().out)
    log = read_log(tmp_path / "out" / NAME)
    assert scores["epoch"] == 1
    assert scores["test_loss"] == pytest.approx(log["test_loss"][-1][1])
    # An option of the command line wins over the stored one.
    message = fails(capsys, "evaluate", target, trained, "--data-path", "nowhere")
    assert "nowhere" in message


def test_torch_export_computes_the_same(target, trained, tmp_path, capsys):
    out = tmp_path / "net.pt2"
    words = ["export", target, str(trained), "--format", "torch", "--shape", "2,1,3,8,8"]
    main([*words, "--output", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    program = torch.export.load(out).module()
    stored = torch.load(trained, weights_only=True)
    torch.testing.assert_close(program.state_dict()["1.weight"], stored["model"]["1.weight"])
    main([*words, "--ema"])
    averaged = torch.export.load(trained.with_suffix(".pt2")).module().state_dict()
    torch.testing.assert_close(averaged["1.weight"], stored["model_ema"]["module.1.weight"])


def test_nir_export(target, trained):
    words = ["export", target, trained, "--format", "nir", "--shape", "2,1,3,8,8"]
    main([str(word) for word in words])
    assert sj_nir.import_from_nir(str(trained.with_suffix(".nir"))) is not None


def test_onnx_export_computes_the_same(target, trained):
    words = ["export", target, trained, "--format", "onnx", "--shape", "2,1,3,8,8"]
    main([str(word) for word in words])
    main(["export", target, str(trained), "--format", "torch", "--shape", "2,1,3,8,8"])
    net = ReferenceEvaluator(str(trained.with_suffix(".onnx")))
    x = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    (y,) = net.run(None, {net.input_names[0]: x.numpy()})
    expected = torch.export.load(trained.with_suffix(".pt2")).module()(x)
    torch.testing.assert_close(torch.from_numpy(y), expected, rtol=1e-4, atol=1e-5)


def test_curves_of_two_logs(trained, tmp_path, capsys):
    log = str(tmp_path / "out" / NAME)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "scalars.jsonl").write_text('{"epoch": 0, "test_acc1": null}\n')
    for kind in ("png", "svg"):
        main(["plot", log, str(tmp_path / "copy"), "--output", str(tmp_path / f"c.{kind}")])
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 1000
    main(["plot", log, "--tag", "lr", "--output", str(tmp_path / "lr.png")])
    assert "nothing" in fails(capsys_cleared(capsys), "plot", log, "--tag", "nothing")


def test_the_legend_says_what_differs():
    runs = ["logs/net18_b4_lr0.1_seed1", "logs/net34_b4_lr0.1_seed1"]
    figure = draw_curves({run: {"lr": [(0, 0.1), (2, 0.2)]} for run in runs}, ["lr"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["net18", "net34"]
    assert [line.get_color() for line in figure.axes[0].lines] == ["C0", "C1"]
    assert all(tick % 1 == 0 for tick in figure.axes[0].get_xticks())


def test_equal_names_are_told_apart_by_their_paths():
    figure = draw_curves({f"{part}/net": {"lr": [(0, 0.1)]} for part in "ab"}, ["lr"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a/net", "b/net"]


def capsys_cleared(capsys):
    capsys.readouterr()
    return capsys


def test_summary_of_logs_and_checkpoints(trained, tmp_path, capsys):
    log = str(tmp_path / "out" / NAME)
    main(["summary", log, str(trained), "--json"])
    run, checkpoint = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert run["epochs"] == 2 and run["best test_acc1"] >= run["test_acc1"]
    assert checkpoint["epoch"] == 1 and checkpoint["numbers"] == 192 * 8 + 8 + 8 * 2 + 2
    assert checkpoint["max_test_acc1"] == run["best test_acc1"]
    main(["summary", log])
    assert "  last epoch: 1\n" in capsys.readouterr().out


def test_summary_and_curves_of_script_recipes(tmp_path, capsys):
    content = {"net": {"w": torch.zeros(2, 3)}, "epoch": 4, "max_test_psnr": 31.5}
    torch.save(content, tmp_path / "checkpoint_max.pth")
    rows = '{"epoch": 0, "test_psnr": 31.5, "test_acc": 0.5}\n{"epoch": 1, "test_psnr": 30}\n'
    (tmp_path / "scalars.jsonl").write_text(rows)
    main(["summary", str(tmp_path), str(tmp_path / "checkpoint_max.pth"), "--json"])
    run, checkpoint = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert run["best test_psnr"] == 31.5 and run["test_psnr"] == 30 and run["test_acc"] == 0.5
    assert checkpoint["max_test_psnr"] == 31.5
    assert checkpoint["epoch"] == 4 and checkpoint["numbers"] == 6
    main(["plot", str(tmp_path), "--output", str(tmp_path / "c.png")])
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width == 2 * 540  # a panel for each score
    torch.save({"weights": {}}, tmp_path / "other.pth")
    assert "is no training checkpoint" in fails(
        capsys_cleared(capsys), "summary", tmp_path / "other.pth"
    )


def test_logs_of_other_programs_are_read(tmp_path):
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("train_acc", 0.5, 3)
    assert read_log(tmp_path) == {"train_acc": [(3, 0.5)]}
    (file,) = tmp_path.iterdir()
    assert read_log(file) == {"train_acc": [(3, 0.5)]}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("run nowhere.py", "the file nowhere.py does not exist"),
        ("run conv_fashion", "'conv_fashion' is neither a recipe nor a module"),
        ("run TARGET:Other", "Other is no subclass of Trainer"),
        ("run sj_train.errors:Nothing", "Nothing is no subclass of Trainer"),
        ("run sj_train.errors", "sj_train.errors defines no subclass of Trainer"),
        ("evaluate TARGET nowhere.pth", "checkpoint nowhere.pth does not exist"),
        ("export TARGET nowhere.pth --format nir --shape 1,x", "--shape: needs numbers"),
        ("export TARGET nowhere.pth --format gif --shape 1", "invalid choice: 'gif'"),
        ("export TARGET x.pth --format nir --shape 1 --output no/x.nir", "folder no does not"),
        ("plot nowhere", "the log nowhere does not exist"),
        ("plot . --output x.gif", "--output: must end in .png"),
        ("plot . --output no/x.png", "the folder no does not exist"),
        ("summary EMPTY", "holds no scalars"),
        ("summary EMPTY --yaml", "unknown arguments: --yaml"),
        ("", "COMMAND"),
    ],
)
def test_bad_input_is_one_line_and_status_2(target, tmp_path, capsys, words, text):
    (tmp_path / "empty").mkdir()
    words = words.replace("TARGET", target).replace("EMPTY", str(tmp_path / "empty"))
    assert text in fails(capsys, *words.split())


def test_exports_that_cannot_work(target, trained, tmp_path, capsys):
    words = ["export", target, trained, "--format", "torch", "--shape"]
    assert "does not take (2, 1, 3, 9, 9)" in fails(capsys, *words, "2,1,3,9,9")
    assert "shape of 3.weight" in fails(capsys, *words, "2,1,3,8,8", "--classes", "7")
    content = torch.load(trained, weights_only=True)
    del content["model_ema"]
    torch.save(content, trained)
    assert "holds no averaged model" in fails(capsys, *words, "2,1,3,8,8", "--ema")
    assert not trained.with_suffix(".pt2").exists()


def test_what_onnx_cannot_express_is_one_line(target, trained):
    odd = "import torch\nfrom torch import nn\nclass Odd(nn.Module):\n    def forward(self, x):\n"
    odd += "        return x + torch.linalg.eigvals(x).abs().unsqueeze(-1)\n"
    Path(target).write_text(odd + TRAINER.replace("nn.Flatten(2)", "Odd(), nn.Flatten(2)"))
    content = torch.load(trained, weights_only=True)
    shifted = {f"{int(k[0]) + 1}{k[1:]}": v for k, v in content["model"].items()}
    torch.save({**content, "model": shifted}, trained)
    words = ["export", target, trained, "--format", "onnx", "--shape", "2,1,3,8,8"]
    command = [sys.executable, "-W", "error", "-m", "sj_train.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("sj-train export: error: ONNX cannot express the network: ")
    assert done.stderr.count("\n") == 1 and "linalg_eig" in done.stderr
    assert "\x1b" not in done.stderr
    assert not trained.with_suffix(".onnx").exists()


def test_a_net_that_ends_in_a_single_number(target, trained, capsys):
    Path(target).write_text(
        TRAINER.replace("num_classes))", "num_classes), neuron.ParametricLIFNode(step_mode='m'))")
    )
    content = torch.load(trained, weights_only=True)
    content["model"]["4.w"] = torch.tensor(0.0)
    torch.save(content, trained)
    words = ["export", target, trained, "--format", "torch", "--shape", "2,1,3,8,8"]
    main([str(word) for word in words])
    capsys.readouterr()
    content["model"] = {"4.w": torch.tensor(0.0)}
    torch.save(content, trained)
    assert "argument --classes: is required" in fails(capsys, *words)


def test_several_trainers_must_be_named(target, capsys):
    source = Path(target)
    source.write_text(source.read_text() + "\nclass Other(Net):\n    pass\n")
    assert "has several Trainer subclasses" in fails(capsys, "evaluate", target, "x.pth")
    source.write_text("def")
    assert "is no Python file" in fails(capsys, "evaluate", target, "x.pth")


def test_the_list_of_recipes(capsys):
    main(["run"])
    assert "train_imagenet_example" in capsys.readouterr().out


def test_the_installed_command():
    command = [sys.executable, "-m", "sj_train.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("run", "evaluate", "export", "plot", "summary"):
        assert name in done.stdout
