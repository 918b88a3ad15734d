from __future__ import annotations

import pytest

from sz_models.viewer.query import Query

KNOWN = frozenset({"frame", "rate", "method"})


def test_values_are_read_and_defaults_kept():
    query = Query("frame=7&rate=0.5", KNOWN)
    assert query.whole("frame", least=0, most=9) == 7
    assert query.real("rate", 1.0, least=0, most=1) == 0.5
    assert query.text("method", "tfp") == "tfp"


@pytest.mark.parametrize(
    "text", ["frame", "frame=1&frame=2", "other=1", "&".join("abcdefghijklmno")]
)
def test_malformed_queries_are_refused(text):
    with pytest.raises(ValueError, match=r"query|twice|unknown"):
        Query(text, KNOWN)


@pytest.mark.parametrize(
    "value", ["", "1.5", "x", "0x10", "1e3", "--1", "10", "-1", "٣", "9" * 5000]
)
def test_only_whole_numbers_in_range_are_taken(value):
    with pytest.raises(ValueError, match="frame must be"):
        Query(f"frame={value}", KNOWN).whole("frame", least=0, most=9)


@pytest.mark.parametrize("value", ["", "nan", "inf", "x", "2", "-1"])
def test_only_numbers_in_range_are_taken(value):
    with pytest.raises(ValueError, match="rate must be"):
        Query(f"rate={value}", KNOWN).real("rate", 1.0, least=0, most=1)


def test_what_has_no_default_must_be_given():
    with pytest.raises(ValueError, match="frame is missing"):
        Query("", KNOWN).whole("frame", least=0, most=9)
