from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sz_models import BaseModelConfig, TFPConfig


@dataclass
class VersionedConfig(BaseModelConfig):
    model_length: int = 61
    model_length_dict: dict[str, int] = field(default_factory=lambda: {"v010": 61, "v023": 41})
    model_params: dict[str, Any] = field(default_factory=lambda: {"dim": 61, "width": 8})
    model_params_dict: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"v010": {"dim": 61}, "v023": {"dim": 41}}
    )


def test_documented_defaults():
    cfg = BaseModelConfig()
    assert (cfg.model_name, cfg.model_file_name, cfg.model_cls_name) == ("base", "nets", "BaseNet")
    assert cfg.model_length == 41
    assert cfg.model_length_dict == {"v010": 41, "v023": 41}
    assert cfg.model_params == {}
    assert cfg.model_params_dict == {"v010": {}, "v023": {}}
    assert (cfg.require_params, cfg.load_state, cfg.multi_gpu) == (True, False, False)
    assert cfg.ckpt_path == ""
    assert cfg.model_cls_local is None
    assert cfg.arch_cls_local is None


def test_lengths_follow_the_version():
    cfg = VersionedConfig()
    assert [cfg.length_for(v) for v in ("local", "v010", "v023")] == [61, 61, 41]


def test_a_release_has_its_own_arguments():
    cfg = VersionedConfig()
    assert cfg.params_for("local") == {"dim": 61, "width": 8}
    assert cfg.params_for("v023") == {"dim": 41, "width": 8}


def test_arguments_of_the_user_hold_for_every_version():
    cfg = VersionedConfig(model_params={"dim": 61, "width": 16})
    assert cfg.params_for("v023") == {"dim": 41, "width": 16}
    assert VersionedConfig(model_params={"dim": 21}).params_for("v023")["dim"] == 21
    tfp = TFPConfig(model_params={"model_win_length": 21})
    assert tfp.params_for("v023") == {"model_win_length": 21}


def test_configurations_do_not_share_their_dictionaries():
    BaseModelConfig().model_params["inDim"] = 3
    assert BaseModelConfig().model_params == {}


@pytest.mark.parametrize("method", ["length_for", "params_for"])
def test_an_unknown_version_is_named(method):
    with pytest.raises(ValueError, match=r"unknown version of base 'v22'; did you mean 'v023'"):
        getattr(BaseModelConfig(), method)("v22")
