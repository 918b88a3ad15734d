from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sj_datasets


def loaded_after(code: str) -> set[str]:
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_that_it_may_not_need():
    heavy = {"torch", "h5py", "scipy", "requests", "PIL", "av", "tqdm", "lz4", "zstandard"}
    assert not heavy & loaded_after("import sj_datasets")


def test_no_dataset_needs_an_optional_package_to_be_imported():
    optional = {"torch", "scipy", "PIL", "av", "lz4", "zstandard"}
    assert not optional & loaded_after("from sj_datasets import *")


@pytest.mark.parametrize("module", [sj_datasets, sj_datasets.spike_camera, sj_datasets.transforms])
def test_every_public_name_exists(module):
    assert all(hasattr(module, name) for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))


def test_modules_of_datasets_are_attributes():
    assert sj_datasets.dvs128_gesture.DVS128Gesture is sj_datasets.DVS128Gesture


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'DVS129Gesture'"):
        sj_datasets.DVS129Gesture  # noqa: B018


def test_type_checkers_are_told_the_same_names():
    stub = ast.parse(Path(sj_datasets.__file__).with_name("__init__.pyi").read_text("utf-8"))
    told = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = sj_datasets._HOMES | dict.fromkeys(sj_datasets._MODULES)
    assert told == homes
