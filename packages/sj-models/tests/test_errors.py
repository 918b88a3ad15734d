"""How config errors read."""

from __future__ import annotations

import pickle

import pytest

from sj_models.errors import (
    ConfigError,
    ConfigKeyError,
    ConfigTypeError,
    ConfigValueError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("kind", "also"),
    [(ConfigKeyError, KeyError), (ConfigTypeError, TypeError), (ConfigValueError, ValueError)],
)
def test_an_error_says_where_and_what(kind: type[ConfigError], also: type[Exception]):
    error = kind("it's wrong", path="a.b", source="x.yaml")
    assert isinstance(error, also)
    assert str(error) == "x.yaml: a.b: it's wrong"
    assert str(kind("alone")) == "alone"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_close_names_are_offered_in_their_own_spelling():
    names = ["ResNet", "ResNeXt", "VGG"]
    assert did_you_mean("RESNET", names) == "; did you mean 'ResNet' or 'ResNeXt'?"
    assert did_you_mean("xyz", names) == ""
