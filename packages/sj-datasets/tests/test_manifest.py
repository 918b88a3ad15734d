from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.manifest import MANIFEST, Manifest, function_hash

EVENTS = Manifest("Toy", {"kind": "events"}, (4, 5), library="1", splits={"train": 3})


def test_a_manifest_comes_back(tmp_path):
    EVENTS.write(tmp_path)
    assert Manifest.read(tmp_path) == EVENTS
    plain = Manifest("Toy", {"kind": "events"})
    plain.write(tmp_path)
    assert Manifest.read(tmp_path) == plain


def test_no_manifest_is_none(tmp_path):
    assert Manifest.read(tmp_path) is None
    assert Manifest.read(tmp_path / "no") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "sensor_size": [1], "dataset": "x", "what": {}}', "damaged"),
        ('{"format": 1, "sensor_size": null, "dataset": "x", "what": {}, "more": 1}', "damaged"),
        (
            '{"format": 1, "sensor_size": null, "dataset": "x", "what": {}, "splits": ["train"]}',
            "damaged",
        ),
        (
            '{"format": 1, "sensor_size": null, "dataset": "x", "what": {}, "splits": {"a": "b"}}',
            "damaged",
        ),
        ('{"format": 2}', "format 1 expected, got 2"),
    ],
)
def test_damaged_manifests_are_told(tmp_path, content, message):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(FormatError, match=f"{message}.*delete"):
        Manifest.read(tmp_path)


def test_a_manifest_is_plain_json(tmp_path):
    EVENTS.write(tmp_path)
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert content["format"] == 1 and content["sensor_size"] == [4, 5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "Other"}, "another dataset: Toy there, Other now"),
        ({"what": {"kind": "frames"}}, "another settings"),
        ({"sensor_size": (5, 4)}, r"another sensor size: \(4, 5\) there, \(5, 4\) now"),
        ({"function": "ab"}, "source of the integrate function .*None there, ab now; delete"),
    ],
)
def test_other_trees_are_refused(tmp_path, fields, message):
    wanted = Manifest(
        **{"dataset": "Toy", "what": {"kind": "events"}, "sensor_size": (4, 5)} | fields
    )
    with pytest.raises(ValueError, match=message):
        EVENTS.check_same(wanted, tmp_path)
    EVENTS.check_same(Manifest("Toy", {"kind": "events"}, (4, 5), library="2"), tmp_path)


def test_another_function_may_go_to_another_folder(tmp_path):
    with pytest.raises(ValueError, match="give another custom_integrated_frames_dir_name"):
        Manifest("a", {}, function="x").check_same(Manifest("a", {}, function="y"), tmp_path)


def first(events, H, W, scale=1):
    return scale


def second(events, H, W, scale=1):
    return scale + 1


def closure(scale):
    def inner(events, H, W):
        return scale

    return inner


class Callable:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, events, H, W):
        return self.scale

    def method(self, events, H, W):
        return self.scale


def generated(body):
    space = {}
    exec(f"def made(events, H, W):\n    def inner(): return 7\n    return {body}", space)
    return space["made"]


ONE, OTHER = lambda e, H, W: 1, lambda e, H, W: 2


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda: first, lambda: second),
        (lambda: closure(1), lambda: closure(2)),
        (lambda: functools.partial(first, scale=1), lambda: functools.partial(first, scale=2)),
        (lambda: functools.partial(first, 1), lambda: functools.partial(second, 1)),
        (lambda: functools.partial(first), lambda: first),
        (lambda: Callable(1), lambda: Callable(2)),
        (lambda: Callable(1).method, lambda: Callable(2).method),
        (lambda: generated("1"), lambda: generated("2")),
        (lambda: generated("H + 1"), lambda: generated("H - 1")),
        (lambda: generated("abs(H)"), lambda: generated("len(H)")),
        (lambda: max, lambda: min),
        (lambda: ONE, lambda: OTHER),
        (lambda: closure(lambda: 0), lambda: closure(3)),
        (lambda: np.add, lambda: first),
        (lambda: Callable, lambda: first),
    ],
)
def test_the_hash_follows_the_code(make, other):
    assert function_hash(make()) == function_hash(make())
    assert function_hash(make()) != function_hash(other())


def test_the_hash_is_the_same_in_every_process():
    code = (
        "import functools; from sj_datasets.manifest import function_hash as h\n"
        "print(h(lambda e: e in {'a', 'b', 'c'}),"
        " h(functools.partial(sorted, key={'x': {'a', 'b', 'c'}})))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(found) == 1


def test_a_function_that_names_itself_can_be_hashed():
    def recursive(n):
        return recursive(n - 1) if n else later

    digest = function_hash(recursive)
    later = 3
    assert len(digest) == 64 and recursive(1) == later
