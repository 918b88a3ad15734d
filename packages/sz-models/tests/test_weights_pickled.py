from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sz_models.archs.ssml import DoubleNet
from sz_models.archs.wgse import Dwt1dResnetX_TCN
from sz_models.weights import convert_pickled_weights, load_weights

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def save(content: object, path: Path, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def converted(source: Path) -> dict[str, torch.Tensor]:
    target = source.with_suffix(".state.pth")
    names = convert_pickled_weights(source, target)
    state = torch.load(target, weights_only=True)
    assert list(state) == names
    return state


def assert_same(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        assert state[name].shape == value.shape
        bits = [v.detach().flatten().view(torch.uint8) for v in (state[name], value)]
        assert torch.equal(*bits), name


class Oddities(nn.Module):
    """What networks hold beside weights."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.randn(4, 3))
        self.none = nn.Parameter(torch.zeros(0, 2))
        self.register_parameter("absent", None)
        self.register_buffer("view", torch.arange(12.0).reshape(3, 4).t()[1:])
        self.register_buffer("sixteen", torch.tensor([1.5, float("nan")], dtype=torch.float16))
        self.register_buffer("brain", torch.ones(2, dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("unsaved", torch.ones(2), persistent=False)
        self.tied = nn.Linear(3, 4, bias=False)
        self.tied.weight = self.shared
        self.norm = nn.BatchNorm2d(2)
        self.options = {"size": torch.Size([1]), "device": torch.device("cpu"), "tags": {1, 2}}
        self.paths = [Path("a"), slice(3), range(2)]
        self.act = nn.functional.relu


@FORMATS
@pytest.mark.parametrize("parallel", [False, True], ids=["net", "DataParallel"])
@pytest.mark.parametrize(
    "build",
    [lambda: Dwt1dResnetX_TCN(num_residual_blocks=1), DoubleNet, Oddities],
    ids=["wgse", "ssml", "oddities"],
)
def test_a_pickled_network_gives_its_state_dict(tmp_path, build, parallel, zipped):
    net = build()
    source = save(nn.DataParallel(net) if parallel else net, tmp_path / "a.pt", zipped=zipped)
    assert_same(converted(source), net.state_dict())


@FORMATS
def test_checkpoints_and_state_dicts(tmp_path, zipped):
    net = Oddities()
    for content in (
        net.state_dict(),
        {"model": net, "epoch": 3},
        {"model_state_dict": net.state_dict()},
    ):
        source = save(content, tmp_path / "a.pt", zipped=zipped)
        assert_same(converted(source), net.state_dict())


def test_the_result_loads_strictly(tmp_path):
    net, other = Dwt1dResnetX_TCN(num_residual_blocks=1), Dwt1dResnetX_TCN(num_residual_blocks=1)
    convert_pickled_weights(save(net, tmp_path / "a.pt"), tmp_path / "a.pth")
    load_weights(other, tmp_path / "a.pth")
    assert_same(dict(other.state_dict()), dict(net.state_dict()))


def test_the_classes_of_the_network_need_not_exist(tmp_path):
    (tmp_path / "lost.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(2, 1)\n"
        "torch.manual_seed(0)\n"
    )
    code = "import torch, lost; torch.save(lost.Net(), 'a.pt')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    state = converted(tmp_path / "a.pt")
    assert {name: list(value.shape) for name, value in state.items()} == {
        "layer.weight": [1, 2],
        "layer.bias": [1],
    }
    assert "lost" not in sys.modules


class Touch:
    """Pickled as a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


class Shell(Touch):
    def __reduce__(self):
        return os.system, (f"echo > {self.path}",)


class Evaluated(Touch):
    def __reduce__(self):
        return eval, (f"open({self.path!r}, 'w')",)


@FORMATS
@pytest.mark.parametrize("hostile", [Touch, Shell, Evaluated])
def test_code_in_a_network_is_not_run(tmp_path, hostile, zipped):
    marker = tmp_path / "ran"
    net = nn.Linear(2, 1)
    net.extra = hostile(marker)
    state = converted(save(net, tmp_path / "a.pt", zipped=zipped))
    assert_same(state, {"weight": net.weight, "bias": net.bias})
    save(hostile(marker), tmp_path / "b.pt", zipped=zipped)
    with pytest.raises(ValueError, match=r"b\.pt holds no network"):
        convert_pickled_weights(tmp_path / "b.pt", tmp_path / "b.pth")
    assert not marker.exists()
    assert not (tmp_path / "b.pth").exists()


def reference(kind: bytes = b"ctorch\nFloatStorage\n", size: bytes = b"K\x04", end: bytes = b"t"):
    """What a pickle says of a storage outside it."""
    name, key, place = b"X\x07\x00\x00\x00storage", b"X\x01\x00\x00\x000", b"X\x03\x00\x00\x00cpu"
    return b"(" + name + kind + key + place + size + end + b"Q"


STATE = b"}X\x01\x00\x00\x00aK\x01sb"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference() + b"K\x00K\x04\x85K\x01\x85tR"

ATTACKS = {
    "state of a storage": b"\x80\x02" + reference() + STATE + b".",
    "state of a tensor": b"\x80\x02" + TENSOR + STATE + b".",
    "storage of no kind": b"\x80\x02" + reference(kind=b"K\x01") + b".",
    "storage of a function": b"\x80\x02" + reference(kind=b"cos\nsystem\n") + b".",
    "part of a storage": b"\x80\x02" + reference(end=b"K\x01t") + b".",
    "storage of two sizes": b"\x80\x02" + reference() + reference(size=b"K\x05") + b"\x86.",
    "storage of no size": b"\x80\x02" + reference(size=b"N") + b".",
    "storage of negative size": b"\x80\x02" + reference(size=b"J\xff\xff\xff\xff") + b".",
    "state of a builder": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb."
    ),
    "state of a class": b"\x80\x02ccollections\nOrderedDict\nN}X\x01\x00\x00\x00aK\x01s\x86b.",
    "state of a stand-in": b"\x80\x02cos\nsystem\n}X\x01\x00\x00\x00aK\x01sb.",
    "tensor without storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x01))tR.",
    "unknown reference": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "unfinished": b"\x80\x02}",
    "tensor without arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)\x81.",
    "no pickle": b"hello",
    "typed call": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nNK\x01NtR.",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_hostile_pickles_are_refused(tmp_path, attack):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", attack)
    with pytest.raises(ValueError, match=r"a\.pt is not a readable weight file"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")
    assert os.listdir(tmp_path) == ["a.pt"]


# entry of the archive -> what is replaced in it, and the error
CHANGES = {
    "shape": ("data.pkl", b"K\x04\x85", b"K\x05\x85", "leaves its storage"),
    "dimensions": ("data.pkl", b"K\x04\x85", b"K\x04K\x01\x86", "as many strides"),
    "no elements": ("data.pkl", b"K\x04\x85", b"K\x00\x85", None),
    "elements": ("data/0", bytes(4), b"", "12 bytes instead of 16"),
    "byte order": ("byteorder", b"little", b"big", "byte order"),
    "no content": ("data.pkl", None, None, "no data.pkl"),
}


@pytest.mark.parametrize(("name", "old", "new", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_changed_archives(tmp_path, name, old, new, message):
    save(OrderedDict(a=torch.arange(4.0)), tmp_path / "good.pt")
    with (
        zipfile.ZipFile(tmp_path / "good.pt") as good,
        zipfile.ZipFile(tmp_path / "a.pt", "w") as changed,
    ):
        for entry in good.infolist():
            content = good.read(entry)
            if entry.filename.endswith(f"/{name}"):
                if old is None:
                    continue
                assert content.count(old) >= 1
                content = content.replace(old, new, 1)
            changed.writestr(entry.filename, content)
    if message is None:  # an empty tensor
        assert converted(tmp_path / "a.pt")["a"].shape == (0,)
        return
    with pytest.raises(ValueError, match=message):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


def test_an_object_without_state_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02csubprocess\nPopen\n)\x81.")
    with pytest.raises(ValueError, match=r"a\.pt holds no network"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


def test_compressed_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
    with pytest.raises(ValueError, match="compressed"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


@pytest.mark.parametrize("content", [{}, [1], {"a": 1}, nn.Linear, nn.ReLU()], ids=repr)
def test_files_without_weights_are_refused(tmp_path, content):
    save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt holds no"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


def test_a_network_that_holds_itself_is_refused(tmp_path):
    net = nn.Sequential(nn.Linear(1, 1))
    net._modules["again"] = net
    save(net, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="nested"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.pt: no such weight file"):
        convert_pickled_weights(tmp_path / "a.pt", tmp_path / "a.pth")


@FORMATS
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_files_give_one_kind_of_error(tmp_path_factory, zipped, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(save(nn.Linear(2, 1), folder / "a.pt", zipped=zipped).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] = data.draw(st.integers(0, 255))
    else:
        del content[place:]
    (folder / "a.pt").write_bytes(content)
    try:
        convert_pickled_weights(folder / "a.pt", folder / "a.pth")
    except ValueError as error:
        assert "a.pt" in str(error)
        assert not (folder / "a.pth").exists()
