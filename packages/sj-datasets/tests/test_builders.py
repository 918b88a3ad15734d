from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from sj_datasets.builders import (
    EventBuilder,
    FrameCustomIntegrateBuilder,
    FrameFixedDurationBuilder,
    FrameFixedNumberBuilder,
    NeuromorphicDatasetBuilder,
)
from sj_datasets.cache import save_events
from sj_datasets.config import BuildOptions, NeuromorphicDatasetConfig
from sj_datasets.events import Events
from sj_datasets.manifest import Manifest
from sj_datasets.tree import SampleTree

H, W = 4, 6


@pytest.fixture
def raw_root(tmp_path):
    folder = tmp_path / "events_np"
    for name, count in (("a/one", 3), ("a/one_5", 4), ("b/two", 6)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        n = np.arange(count)
        save_events(folder / f"{name}.npy", Events.from_arrays(n, n % W, n % H, n % 2))
    (folder / "a" / ".left.npy").touch()
    (folder / "a" / "readme.txt").touch()
    return folder


def config(root, **fields):
    return NeuromorphicDatasetConfig(root, data_type="frame", **fields)


def built(builder, **options):
    builder.options = BuildOptions(workers=0, progress=False, **options)
    root, loader = builder.build()
    return root, loader, sorted(str(p.relative_to(root)) for p in root.rglob("*.npy"))


def count_events(events, height, width):
    return np.full((2, 2, height, width), events["t"].size)


def test_trees_are_named_after_what_they_hold(tmp_path, raw_root):
    number = FrameFixedNumberBuilder(
        config(tmp_path, frames_number=3, split_by="time"), raw_root, H, W
    )
    duration = FrameFixedDurationBuilder(config(tmp_path, duration=2), raw_root, H, W)
    custom = FrameCustomIntegrateBuilder(
        config(tmp_path, custom_integrate_function=count_events), raw_root, H, W
    )
    assert number.processed_root == tmp_path / "frames_number_3_split_by_time"
    assert duration.processed_root == tmp_path / "duration_2"
    assert custom.processed_root == tmp_path / "count_events"
    assert built(number)[2] == ["a/one.npy", "a/one_5.npy", "b/two.npy"]
    assert built(duration)[2] == ["a/one_1.npy", "a/one_5_2.npy", "b/two_3.npy"]
    root, loader, files = built(custom)
    assert loader(root / files[0]).max() == 3


def test_samples_that_are_there_stay(tmp_path, raw_root):
    for builder in (
        FrameFixedDurationBuilder(config(tmp_path, duration=2), raw_root, H, W),
        FrameFixedNumberBuilder(
            config(tmp_path, frames_number=3, split_by="number"), raw_root, H, W
        ),
    ):
        root, _, files = built(builder)
        times = {name: (root / name).stat().st_mtime_ns for name in files}
        (root / files[0]).unlink()
        assert not builder.is_complete()
        assert built(builder)[2] == files and builder.is_complete()
        assert {name: (root / name).stat().st_mtime_ns for name in files[1:]} == {
            name: times[name] for name in files[1:]
        }


def test_events_are_their_own_samples(raw_root):
    builder = EventBuilder(NeuromorphicDatasetConfig(raw_root.parent), raw_root)
    root, loader = builder.build()
    assert root == raw_root and builder.is_complete() and builder.reads_events
    assert loader(root / "b/two.npy")["x"].tolist() == [0, 1, 2, 3, 4, 5]


def test_without_a_cache_nothing_is_written(tmp_path, raw_root):
    builder = FrameFixedDurationBuilder(config(tmp_path, duration=2), raw_root, H, W)
    root, loader, _ = built(builder, cache=False)
    assert root == raw_root and builder.reads_events and builder.is_complete()
    assert loader(root / "b/two.npy").shape == (3, 2, H, W)
    assert [p.name for p in tmp_path.iterdir()] == ["events_np"]


class Adder:
    def __call__(self, events, height, width):
        return np.zeros((1, height, width))


def test_functions_without_a_name_get_one(tmp_path, raw_root):
    def root_of(function):
        cfg = config(tmp_path, custom_integrate_function=function)
        return FrameCustomIntegrateBuilder(cfg, raw_root, H, W).processed_root.name

    assert root_of(lambda e, h, w: 0).startswith("lambda_")
    assert root_of(functools.partial(count_events)).startswith("count_events_")
    assert root_of(Adder()).startswith("Adder_")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FrameFixedNumberBuilder, "frames_number and split_by"),
        (FrameFixedDurationBuilder, "duration is not given"),
        (FrameCustomIntegrateBuilder, "custom_integrate_function is not given"),
    ],
)
def test_builders_need_their_setting(tmp_path, raw_root, kind, message):
    cfg = NeuromorphicDatasetConfig(tmp_path)
    with pytest.raises(ValueError, match=message):
        kind(cfg, raw_root, H, W).integrator()


class Thirds(NeuromorphicDatasetBuilder):
    """A builder in the style of other libraries."""

    @property
    def processed_root(self):
        return self.cfg.root / "thirds"

    def build_impl(self):
        for path in self.raw_root.rglob("[!.]*.npy"):
            target = self.processed_root / path.relative_to(self.raw_root)
            target.parent.mkdir(exist_ok=True)
            np.save(target, np.zeros(3))

    def get_loader(self):
        return np.load


def test_builders_of_others_fit_in(tmp_path, raw_root):
    builder = Thirds(NeuromorphicDatasetConfig(tmp_path), raw_root)
    assert not builder.is_complete()
    root, loader, files = built(builder)
    assert len(files) == 3 and loader(root / files[0]).shape == (3,)
    assert builder.is_complete() and Manifest.read(root).what == {"kind": "Thirds"}
    assert isinstance(builder.tree, SampleTree)


def test_a_builder_has_to_build(tmp_path):
    class Idle(Thirds):
        build_impl = NeuromorphicDatasetBuilder.build_impl

    with pytest.raises(NotImplementedError, match="Idle must define build_impl"):
        Idle(NeuromorphicDatasetConfig(tmp_path), Path()).build()
    with pytest.raises(TypeError, match="abstract"):
        NeuromorphicDatasetBuilder(NeuromorphicDatasetConfig(tmp_path), Path())  # type: ignore[abstract]
