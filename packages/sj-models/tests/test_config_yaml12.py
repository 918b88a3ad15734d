"""YAML 1.2's core schema, value by value, and files that must not get through."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sj_models.config.yaml12 import dump_yaml, parse_scalar, parse_yaml
from sj_models.errors import ConfigError, ConfigValueError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("", None), ("none", "none"), ("None", "None"),
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"),
        ("12", 12), ("+12", 12), ("-3", -3), ("010", 10), ("0o17", 15), ("0xFf", 255),
        ("1_000", "1_000"), ("0b1", "0b1"), ("1:30", "1:30"),
        ("1e-3", 1e-3), ("1E3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-1.5e+2", -150.0),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"),
        ("2001-01-01", "2001-01-01"), ("=", "="), ("<<", "<<"), (".", "."), ("e3", "e3"),
        ("x y", "x y"), ("'12'", "12"), ('"a\\tb"', "a\tb"), ("[]", []),
        ("[1, no, 1e2]", [1, "no", 100.0]), ("{a: 1, b: [~]}", {"a": 1, "b": [None]}),
    ],
)  # fmt: skip
def test_values_follow_the_core_schema(text: str, value: Any):
    found = [parse_scalar(text), parse_yaml(f"key: {text}")["key"] if text != "=" else value]
    assert found == [value, value]
    assert {type(item) for item in found} == {type(value)}


def test_nan_is_a_number():
    assert math.isnan(parse_scalar(".NaN"))


@pytest.mark.parametrize(
    "text", ["a: b", "# c", "- 1", "&a 1", "!!int 1", "|", "b=c", "1,2", "(1)"]
)
def test_on_a_command_line_only_flow_values_are_special(text: str):
    assert parse_scalar(f" {text} ") == text


def test_anchors_are_copied():
    data = parse_yaml("a: &x {k: [1]}\nb: *x")
    assert data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert data["a"] is not data["b"]


def test_core_tags_are_known():
    assert parse_yaml("a: !!str 12\nb: !!float 3\nc: !!map {}") == {"a": "12", "b": 3.0, "c": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands here twice"),
        ("a:\n  1: 2", "line 2: a key must be text; write '1' in quotes"),
        ("? [1]\n: 2", "line 1: a key must be text"),
        ("a: [1", "line 1: "),
        ("a: 1\n---\nb: 2", "line 2: "),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag"),
        ("a: !!python/name:os.system", "could not determine a constructor for the tag"),
        ("a: !!timestamp 2001-01-01", "could not determine a constructor for the tag"),
        ("a: !!int x", "no YAML: invalid literal"),
        ("a: \x07", "no YAML: unacceptable character"),
        ("a: &a [*a]", "an alias holds itself"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, message: str):
    with pytest.raises(ConfigValueError) as caught:
        parse_yaml(text, source="x.yaml")
    assert str(caught.value).startswith("x.yaml: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_file_cannot_become_a_large_one():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigValueError, match="more than 100000 values"):
        parse_yaml("\n".join(lines))


@given(DATA)
@example("\x85")
@example("a \u2028\n b")
def test_what_is_written_is_read_back(data: Any):
    assert parse_yaml(dump_yaml({"key": data})) == {"key": data}


@given(st.text(alphabet="0123456789.eE+-xo~nulltrueoffyes_:'\" ", max_size=6))
def test_written_text_means_the_same_to_old_readers(text: str):
    assert yaml.safe_load(dump_yaml({"key": text})) == {"key": text}


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str):
    for read in (parse_yaml, parse_scalar):
        try:
            read(text)
        except ConfigError as error:
            assert "\n" not in str(error)
