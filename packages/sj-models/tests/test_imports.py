"""What `import sj_models` gives, and what it leaves alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sj_models


def test_every_public_name_exists():
    assert all(hasattr(sj_models, name) for name in sj_models.__all__)
    assert set(sj_models.__all__) <= set(dir(sj_models))


def test_families_are_attributes():
    assert sj_models.sew_resnet.SEWResNet is sj_models.SEWResNet


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'SewResNet'"):
        sj_models.SewResNet  # noqa: B018


def test_type_checkers_are_told_the_same_names():
    stub = ast.parse(Path(sj_models.__file__).with_name("__init__.pyi").read_text("utf-8"))
    told = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == sj_models._HOMES | dict.fromkeys(sj_models._MODULES)


def test_the_import_alone_loads_no_model():
    code = "import sys, sj_models; print(sorted(m for m in sys.modules if 'sj_models.' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
