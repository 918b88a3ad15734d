"""Inheritance and overrides against recorded behaviour; our outcome where it is informative."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sj_models.config import load_config, override, parse_scalar

ERRORS = {"TypeError": TypeError, "KeyError": KeyError, "FileNotFoundError": FileNotFoundError}
MERGE = [
    "two_bases",
    "chain",
    "delete",
    "type_switch_without_delete",
    "null_over_dict",
    "list_is_replaced",
    "scalar_over_dict",
    "dict_over_scalar",
    "duplicate_top_key_in_bases",
    "missing_base",
    "cycle",
    "override_scalar",
    "override_new_key",
    "override_list_index",
    "override_list_index_range",
    "override_through_scalar",
    "override_nested_model",
]
INFORMATIVE = {  # rows with a note
    "type_switch_without_delete": "the block is replaced",
    "cycle": "ValueError that names the cycle",
    "override_new_key": "KeyError with the closest name, unless written with +",
}

SAME = ["a=1", "a=-3", "a=1.5", "a=1e-3", "a=true", "a=False", "a=none", "a=x", "a=[1,2]", "a=[]"]
SAME += ["a=b=c"]
OTHER: dict[str, Any] = {  # YAML 1.2 reads these otherwise
    "a=None": "None",
    "a=1,2": "1,2",
    "a=(1,2)": "(1,2)",
    "a=[(1,2),[a,b]]": ["(1", "2)", ["a", "b"]],
    "a=": None,
    'a="x y"': "x y",
    "a=0x10": 16,
    "a=1_000": "1_000",
    "a=inf": "inf",
}


@pytest.fixture
def recorded(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "components" / "config_merge.json").read_text())


@pytest.fixture
def rows(recorded: dict[str, Any], tmp_path: Path) -> Any:
    cases = {row["case"]: row for row in recorded["merge"]}

    def row(case: str) -> tuple[dict[str, Any], Path]:
        for name, cfg in cases[case]["files"].items():
            (tmp_path / name).write_text(json.dumps(cfg))
        return cases[case], tmp_path / cases[case]["entry"]

    return row


def test_every_row_is_taken_up(recorded: dict[str, Any]):
    assert [row["case"] for row in recorded["merge"]] == MERGE
    assert {row["case"] for row in recorded["merge"] if "note" in row} == set(INFORMATIVE)
    values = [row["text"] for row in recorded["cli_values"]]
    assert sorted(values) == sorted([*SAME, *OTHER])


@pytest.mark.parametrize("case", [case for case in MERGE if case not in INFORMATIVE])
def test_binding_rows(rows: Any, case: str):
    row, path = rows(case)
    if "peer_error" in row:
        with pytest.raises(ERRORS[row["peer_error"]]) as caught:
            load_config(path, row["overrides"])
        assert str(path) in str(caught.value)
    else:
        assert load_config(path, row["overrides"]) == row["peer_result"]


def test_another_type_replaces_the_block(rows: Any):
    row, path = rows("type_switch_without_delete")
    expected = row["peer_result"]
    expected["model"]["backbone"] = {"type": "MobileNetV2"}
    assert load_config(path) == expected


def test_a_cycle_is_named(rows: Any):
    _, path = rows("cycle")
    with pytest.raises(ValueError, match=r"cycle: .*main\.json -> .*a\.json -> .*main\.json"):
        load_config(path)


def test_a_new_key_needs_a_plus(rows: Any):
    row, path = rows("override_new_key")
    with pytest.raises(KeyError, match="did you mean 'lr'"):
        load_config(path, row["overrides"])
    added = {f"+{key}": value for key, value in row["overrides"].items()}
    assert load_config(path, added) == row["peer_result"]


@pytest.mark.parametrize("text", SAME)
def test_values_of_the_command_line(recorded: dict[str, Any], text: str):
    row = next(row for row in recorded["cli_values"] if row["text"] == text)
    value = override({}, [f"+{text}"])["a"]
    assert repr(value) == row["peer_value_repr"]


@pytest.mark.parametrize("text", OTHER)
def test_values_that_yaml_reads_otherwise(text: str):
    assert override({}, [f"+{text}"]) == {"a": OTHER[text]}
    assert parse_scalar(".inf") == math.inf
