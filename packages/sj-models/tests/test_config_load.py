"""Config files: sources, inheritance between files, and files that are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sj_models.config import dump_config, load_config, load_python_config

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.text(alphabet="abcdef", min_size=1, max_size=3)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=6
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> None:
        for name, text in files.items():
            Path(name.replace("_", ".")).write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.yaml", "a: {b: 1e-3}\nc: [1, no]"),
        ("x.yml", "a:\n  b: 0.001\nc:\n- 1\n- 'no'"),
        ("x.json", '{"a": {"b": 1e-3}, "c": [1, "no"]}'),
    ],
)
def test_three_kinds_of_data_files(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    assert load_config(tmp_path / name) == {"a": {"b": 0.001}, "c": [1, "no"]}


def test_bases_are_found_from_the_file_and_overrides_come_last(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.json").write_text('{"model": {"type": "A", "x": 1}}')
    (tmp_path / "run.yaml").write_text("epochs: 3")
    (tmp_path / "sub" / "main.yaml").write_text(
        "_base_: [../base.json, ../run.yaml]\nmodel: {x: 2}\nname: 'run {{_base_.epochs}}'"
    )
    assert load_config(str(tmp_path / "sub" / "main.yaml"), ["epochs=4"]) == {
        "model": {"type": "A", "x": 2}, "epochs": 4, "name": "run 3"
    }  # fmt: skip


def test_one_base_may_be_shared_along_a_chain(write: Any):
    write(a_yaml="x: 1\ny: 1", b_yaml="_base_: a.yaml\ny: 2", c_yaml="_base_: b.yaml\nz: 3")
    assert load_config("c.yaml") == {"x": 1, "y": 2, "z": 3}


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({}, FileNotFoundError, "no config file a.yaml"),
        ({"a_yaml": "_base_: b.yaml"}, FileNotFoundError, "a.yaml: _base_: no file b.yaml"),
        (
            {"a_yaml": "_base_: b.yaml", "b_yaml": "_base_: ./a.yaml"},
            ValueError,
            "a.yaml: _base_: the bases form a cycle: a.yaml -> b.yaml -> a.yaml",
        ),
        ({"a_yaml": "_base_: {b: 1}"}, TypeError, "a.yaml: _base_: is a path or a list of paths"),
        ({"a_yaml": "m: [{_base_: b}]"}, ValueError, "a.yaml: m.0._base_: works at the top of a"),
        (
            {"a_yaml": "_base_: [b.yaml, c.yaml]", "b_yaml": "x: 1", "c_yaml": "x: 1"},
            KeyError,
            "a.yaml: x: stands in two bases, b.yaml and c.yaml",
        ),
        (
            {"a_yaml": "_base_: b.yaml\nm: {x: {y: 1}}", "b_yaml": "m: {x: 1}"},
            TypeError,
            "a.yaml: m.x: a mapping cannot go over 1; to replace it, add _delete_: true",
        ),
        ({"a_yaml": ""}, TypeError, "a.yaml: a config is a mapping, this file holds nothing"),
        ({"a_yaml": "[1]"}, TypeError, "a.yaml: a config is a mapping, this file holds list"),
        ({"a_yaml": "a: ["}, ValueError, "a.yaml: line 1"),
        ({"a_yaml": "_base_: b.json", "b_json": "{\n]"}, ValueError, "b.json: line 2"),
        (
            {"a_yaml": "_base_: b.json", "b_json": '{"x": {"k": 1, "k": 2}}'},
            KeyError,
            "b.json: k: stands twice in one mapping",
        ),
        ({"a_yaml": "_base_: b.json", "b_json": "[" * 200_000}, ValueError, "b.json: "),
        ({"a_yaml": "_base_: b.toml", "b_toml": ""}, ValueError, "b.toml: a config is a .yaml"),
        ({"a_yaml": "_base_: b.py", "b_py": "1/0"}, ValueError, "b.py: is code"),
    ],
)
def test_wrong_files_are_explained(write: Any, files: dict[str, str], kind: type, message: str):
    write(**files)
    with pytest.raises(kind) as caught:
        load_config("a.yaml")
    assert str(caught.value).startswith(message)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "x.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ValueError, match=r"x\.yaml: no UTF-8 text"):
        load_config(tmp_path / "x.yaml")


def test_python_runs_on_request_only(write: Any):
    write(
        base_yaml="epochs: 3",
        main_py="import math\nfrom torch import nn\n_base_ = 'base.yaml'\n"
        "def double(x):\n    return 2 * x\n"
        "model = dict(type=nn.Linear, in_features=double(2), sizes=(1, 2))",
    )
    with pytest.raises(ValueError, match=r"main\.py: is code.*load_python_config"):
        load_config("main.py")
    assert load_python_config("main.py", ["model.bias=false"]) == {
        "epochs": 3,
        "model": {"type": nn.Linear, "in_features": 4, "sizes": (1, 2), "bias": False},
    }


def test_data_files_never_lead_to_code(write: Any):
    write(main_py="_base_ = 'base.yaml'", base_yaml="_base_: code.py", code_py="1 / 0")
    with pytest.raises(ValueError, match=r"code\.py: is code"):
        load_python_config("main.py")


@given(st.dictionaries(NAMES, DATA), st.sampled_from(["json", "yaml", "yml"]))
def test_what_is_written_is_read_back(tmp_path_factory: Any, cfg: dict[str, Any], suffix: str):
    path = tmp_path_factory.getbasetemp() / f"round_{os.getpid()}.{suffix}"
    dump_config(cfg, path)
    assert load_config(path) == cfg


def test_tuples_are_written_as_lists_and_nothing_else_is_left(tmp_path: Path):
    dump_config({"a": (1, {"b": ()})}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, {"b": []}]}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_only_plain_data_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TypeError, match=r"x\.json: a\.0\.b: cannot be written to a file: ReLU"):
        dump_config({"a": [{"b": nn.ReLU()}]}, tmp_path / "x.json")
    with pytest.raises(ValueError, match="configs are written as"):
        dump_config({}, tmp_path / "x.txt")

    def fail(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        dump_config({"a": 1}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_has_the_usual_permissions(tmp_path: Path):
    (tmp_path / "other").touch()
    dump_config({"a": 1}, tmp_path / "a.yaml")
    assert (tmp_path / "a.yaml").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"a": {1: 2}}, "a: keys are text"),
        ({"a": type("Text", (str,), {})("b")}, "a: cannot be written"),
        ({"a": [type("Number", (float,), {})(1)]}, "a.0: cannot be written"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, suffix: str, cfg: dict[str, Any], message: str
):
    with pytest.raises(TypeError, match=message):
        dump_config(cfg, tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "b: 1"), ("a.json", '{"b": 1}')])
def test_a_byte_order_mark_is_left_out(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert load_config(tmp_path / name) == {"b": 1}
