from __future__ import annotations

import math
import sys

import pytest

from sj_train.extras import require


def test_installed_module_is_returned():
    assert require("math", "images") is math


def test_missing_module_names_the_extra():
    with pytest.raises(ImportError, match=r"no_such_library.*pip install 'sj-train\[images\]'"):
        require("no_such_library", "images")


def test_broken_module_is_not_reported_as_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import surely_absent")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="surely_absent"):
        require("half_installed", "images")
    sys.modules.pop("half_installed", None)
