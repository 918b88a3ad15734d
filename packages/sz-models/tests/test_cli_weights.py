"""Networks on the command line whose weights are elsewhere, or are those of another network."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator

import pytest
import torch

import sz_models as sz
from sz_models.archs.base import BaseNet
from sz_models.cli import main

RECORDING = ("a.dat", "--height", "12", "--width", "16")


@pytest.fixture
def closed() -> Iterator[str]:
    """Address at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/releases"


@pytest.mark.parametrize(
    "command", [("reconstruct", "--method", "far"), ("compare", "--methods", "tfp,far")]
)
def test_an_unreachable_host_says_where_to_put_the_file(
    folder, refused, monkeypatch, tmp_path_factory, closed, command
):
    weights = tmp_path_factory.mktemp("weights")
    monkeypatch.setenv("SZ_MODELS_OFFLINE", "0")
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(weights))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("sz_models.weights.release._WAIT_S", 0.0)
    monkeypatch.setattr("sz_models.registry._registered", {})
    config = functools.partial(sz.BaseModelConfig, model_name="far", base_url=closed)
    sz.register("far", sz.BaseModel, config, BaseNet)
    try:
        line = refused(command[0], *RECORDING, "-o", "out.png", *command[1:])
    finally:
        sz.METHODS.remove("far")
    assert f"{closed}/v0.2.3/far.pth: the connection failed" in line
    assert f"download {closed}/v0.2.3/far.pth and save it as {weights / 'v023' / 'far.pth'}" in line
    assert [path.name for path in weights.rglob("*")] == ["v023", ".lock"]


@pytest.fixture
def weight_files(folder) -> None:
    torch.manual_seed(0)
    net = sz.BaseModel(sz.BaseModelConfig()).build_network().net
    state = net.state_dict()
    (first, *_), last = state, list(state)[-1]
    torch.save({**state, "extra.weight": torch.ones(1)}, "more.pth")
    torch.save({key: value for key, value in state.items() if key != last}, "fewer.pth")
    torch.save({**state, first: state[first][:1]}, "shape.pth")
    torch.save(state, "whole.pth")
    content = (folder / "whole.pth").read_bytes()
    (folder / "cut.pth").write_bytes(content[: len(content) // 2])
    (folder / "text.pth").write_text("no weights")
    (folder / "empty.pth").write_bytes(b"")
    torch.save(net, "pickled.pth")
    (folder / "folder.pth").mkdir()


WRONG = {
    "more": "more.pth does not fit BaseNet; unexpected: extra.weight; check the model",
    "fewer": "fewer.pth does not fit BaseNet; missing: ",
    "shape": "shape.pth does not fit BaseNet; wrong shape: ",
    "cut": "cut.pth is not a readable weight file",
    "text": "text.pth is not a",
    "empty": "empty.pth is not a",
    "pickled": "pickled.pth is not a plain state dict",
    "folder": "folder.pth: no such weight file",
    "nothing": "nothing.pth: no such weight file",
}


@pytest.mark.usefixtures("weight_files")
@pytest.mark.parametrize(("name", "message"), WRONG.items(), ids=WRONG.keys())
def test_wrong_weights_are_one_line(refused, name, message):
    line = refused(
        "reconstruct", *RECORDING, "-o", "out.png", "--method", "base", "--weights", f"{name}.pth"
    )
    assert message in line
    again = refused(
        "compare", *RECORDING, "-o", "out.png", "--methods", "base", "--weights", f"base={name}.pth"
    )
    assert again == line


@pytest.mark.usefixtures("weight_files")
def test_weights_of_another_network_list_the_keys(refused):
    line = refused(
        "reconstruct", *RECORDING, "-o", "out.mp4", "--method", "wgse", "--weights", "whole.pth"
    )
    assert "whole.pth does not fit Dwt1dResnetX_TCN; missing: " in line
    assert "; unexpected: " in line
    assert " more; " in line


@pytest.mark.usefixtures("weight_files")
def test_a_method_without_weights_takes_none(refused):
    line = refused("reconstruct", *RECORDING, "-o", "out.png", "--weights", "whole.pth")
    assert "no weights" in line


def test_weights_that_fit_make_a_video(folder, weight_files, capsys):
    command = ("--method", "base", "--weights", "whole.pth", "--frames", "20:40:5", "--tile", "8")
    assert main(["reconstruct", *RECORDING, "-o", "out.gif", *command, "9"]) == 0
    assert capsys.readouterr().out.startswith("out.gif: 4 images of base")
