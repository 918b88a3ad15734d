from __future__ import annotations

import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from sj_datasets import cache, folder
from sj_datasets.config import Conversion
from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.fake import synthetic_events
from sj_datasets.folder import NeuromorphicDatasetFolder
from sj_datasets.frames import integrate_events_by_fixed_frames_number
from sj_datasets.manifest import Manifest

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.fake.SyntheticDataWarning")
CLASSES = ("10", "2", "a")
SAMPLES = {"train": 3, "test": 1}


class Toy(NeuromorphicDatasetFolder):
    """Three classes of tiny recordings in one archive."""

    splits = ("train", "test")

    @classmethod
    def get_H_W(cls):
        return 6, 8

    @classmethod
    def resource_url_md5(cls):
        return [("toy.zip", "https://example.invalid/toy.zip", "0" * 32)]

    @classmethod
    def downloadable(cls):
        return False

    @classmethod
    def conversions(cls, extract_root):
        for path in sorted(extract_root.rglob("*.npy")):
            yield Conversion(path, (path.relative_to(extract_root).with_suffix("").as_posix(),))

    @classmethod
    def convert(cls, conversion):
        yield Events(np.load(conversion.source), (6, 8))

    @classmethod
    def write_fake(cls, download_root, rng):
        with zipfile.ZipFile(download_root / "toy.zip", "w") as archive:
            for split, count in SAMPLES.items():
                for label, name in enumerate(CLASSES):
                    for number in range(count):
                        events = synthetic_events(
                            label, n_events=50, sensor_size=(6, 8), rng=rng,
                            duration=1000 + 100 * number,
                        )  # fmt: skip
                        with archive.open(f"{split}/{name}/s_{number}.npy", "w") as file:
                            np.save(file, events.array)


QUIET = {"progress": False, "workers": 0}
FRAMES = {"data_type": "frame", "frames_number": 4, "split_by": "time"}


@pytest.fixture
def root(tmp_path):
    Toy(tmp_path / "root", train=True, fake=True, **QUIET)
    return tmp_path / "root"


def test_events_are_dicts_of_arrays_with_a_label(root):
    train = Toy(root, train=True)
    assert len(train) == 9 and train.classes == ["10", "2", "a"]
    assert train.class_to_idx == {"10": 0, "2": 1, "a": 2}
    assert train.targets == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    sample, label = train[3]
    assert type(sample) is dict and list(sample) == ["t", "x", "y", "p"] and label == 1
    assert train.samples[3][0] == train.root / "2" / "s_0.npy" == root / "events_np/train/2/s_0.npy"
    assert train.raw_root == train.processed_root == root / "events_np"
    assert "9 samples" in repr(train) and train.is_fake


def test_indices_end_where_the_samples_end(root):
    train = Toy(root, train=True)
    assert sum(1 for _ in train) == 9  # type: ignore[call-overload]
    with pytest.raises(IndexError):
        train[9]
    assert train[-1][1] == train[np.int64(8)][1] == 2
    with pytest.raises(TypeError, match="slice"):
        train[1:3]


def test_only_the_split_that_is_asked_for_is_built(root):
    assert not (root / "events_np" / "test").exists()
    Toy(root, train=True, **FRAMES, **QUIET)
    assert sorted(os.listdir(root / "frames_number_4_split_by_time")) == ["manifest.json", "train"]
    assert len(Toy(root, train=False, **FRAMES, **QUIET)) == 3
    assert Manifest.read(root / "frames_number_4_split_by_time").splits == {"train": 9, "test": 3}


def test_frames_of_every_kind(root):
    def whole(events, H, W):
        assert list(events) == ["t", "x", "y", "p"]
        return np.full((1, 2, H, W), len(events["t"]))

    number = Toy(root, True, "frame", 5, "number", **QUIET)
    assert number.root == root / "frames_number_5_split_by_number" / "train"
    assert number[0][0].shape == (5, 2, 6, 8) and number[0][0].sum() == 50
    assert number[0][0].dtype == np.float32
    duration = Toy(root, True, "frame", duration=400, **QUIET)
    assert [duration[i][0].shape[0] for i in range(3)] == [3, 3, 3]
    assert duration.samples[0][0].name == "s_0_3.npy" and duration.targets == number.targets
    custom = Toy(root, True, "frame", custom_integrate_function=whole, **QUIET)
    assert custom.root == root / "whole" / "train" and custom[0][0].max() == 50
    named = Toy(
        root, True, "frame", custom_integrate_function=whole,
        custom_integrated_frames_dir_name="mine", **QUIET,
    )  # fmt: skip
    assert named.processed_root == root / "mine"


def test_frames_without_a_cache_are_the_same(root):
    cached = Toy(root, True, **FRAMES, **QUIET)
    live = Toy(root, True, **FRAMES, cache=False, **QUIET)
    assert live.processed_root == root / "events_np"
    for (frames, label), (same, same_label) in zip(cached, live, strict=True):  # type: ignore[call-overload]
        np.testing.assert_array_equal(frames, same)
        assert frames.dtype == same.dtype and label == same_label
    events = Toy(root, True)[0][0]
    np.testing.assert_array_equal(
        live[0][0], integrate_events_by_fixed_frames_number(events, "time", 4, 6, 8)
    )
    assert (
        not Toy(root, False, **FRAMES, cache=False, **QUIET).processed_root.joinpath("x").exists()
    )


def test_frames_come_in_the_type_asked_for(root):
    for cached in (True, False):
        assert Toy(root, True, **FRAMES, cache=cached, dtype="u1", **QUIET)[0][0].dtype == np.uint8
    assert np.load(next(root.glob("frames*/train/*/*.npy"))).dtype == np.uint8


def test_transforms_are_applied_and_exchanged_cheaply(root):
    train = Toy(root, True, transform=lambda s: s["t"].size, target_transform=str)
    assert train[0] == (50, "0")
    twin = train.with_transform(lambda s: -s["t"].size)
    assert twin[0] == (-50, 0) and train[0] == (50, "0")
    assert twin.samples is train.samples and type(twin) is Toy


def test_datasets_are_small_to_pickle(root):
    train = Toy(root, True, **FRAMES, **QUIET)
    content = pickle.dumps(train)
    assert len(content) < 4000
    again = pickle.loads(content)
    assert again.samples == train.samples
    np.testing.assert_array_equal(again[0][0], train[0][0])


def test_functions_that_are_not_called_again_are_not_pickled(root):
    train = Toy(
        root, True, "frame", custom_integrate_function=lambda e, H, W: np.ones((1, 2, H, W)),
        transform=lambda x: -x, **QUIET,
    )  # fmt: skip
    twin = train.with_transform(None, str)
    again = pickle.loads(pickle.dumps(twin))
    assert again[0][0].max() == 1 and again[0][1] == "0"
    assert twin.cfg.target_transform is str and twin.cfg.custom_integrate_function is not None
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(train)


def test_finished_trees_need_nothing_else(root):
    Toy(root, True, **FRAMES, **QUIET)
    for name in ("download", "extract", "events_np"):
        (root / name).rename(root.with_name(name))
    os.unlink(root / "FAKE.json")
    assert len(Toy(root, True, **FRAMES)) == 9
    root.with_name("events_np").rename(root / "events_np")
    assert len(Toy(root, True)) == 9
    with pytest.raises(NotImplementedError, match=r"(?s)toy\.zip.*example\.invalid.*0{32}"):
        Toy(root, False)
    assert len(Toy(root, True)) == 9


def test_finished_trees_may_lie_on_a_read_only_disk(root, monkeypatch):
    Toy(root, True, **FRAMES, **QUIET)

    def refuse(*_args, **_options):
        raise PermissionError("read-only")

    monkeypatch.setattr(folder, "folder_lock", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    assert Toy(root, True, **FRAMES)[0][0].shape == (4, 2, 6, 8)
    with pytest.raises(PermissionError):
        Toy(root, False, **FRAMES)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Toy has the splits train, test: train must be True or False, got None"),
        ({"train": 3}, ValueError, "train must be"),
        ({"train": True, "cash": 1}, TypeError, "cash"),
        ({"train": True, "data_type": "frame"}, ValueError, "exactly one"),
        ({"train": True}, FileNotFoundError, "does not exist; create it, or pass fake=True"),
    ],
)
def test_bad_arguments_touch_nothing(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        Toy(tmp_path / "new", **arguments)
    assert os.listdir(tmp_path) == []


def test_a_root_that_is_a_file_is_told(tmp_path):
    (tmp_path / "root").touch()
    with pytest.raises(NotADirectoryError, match=r"root is no folder"):
        Toy(tmp_path / "root", True)


def test_an_unwritable_root_is_told(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match="not writable"):
        Toy(tmp_path, True)


def test_another_function_of_the_same_name_is_refused(root):
    def build(offset):
        def same_name(events, H, W):
            return np.full((1, 2, H, W), offset)

        return same_name

    Toy(root, True, "frame", custom_integrate_function=build(0), **QUIET)
    Toy(root, True, "frame", custom_integrate_function=build(0), **QUIET)
    with pytest.raises(ValueError, match=r"same_name was built with another source.*delete"):
        Toy(root, True, "frame", custom_integrate_function=build(1), **QUIET)
    one = Toy(
        root, True, "frame", custom_integrate_function=lambda e, H, W: np.zeros((1, H)), **QUIET
    )
    two = Toy(
        root, True, "frame", custom_integrate_function=lambda e, H, W: np.ones((1, H)), **QUIET
    )
    assert one.processed_root != two.processed_root and two[0][0].max() == 1


def test_a_sensor_that_changed_is_noticed(root):
    class Larger(Toy):
        @classmethod
        def dataset_name(cls):
            return "Toy"

        @classmethod
        def get_H_W(cls):
            return 12, 16

    with pytest.raises(ValueError, match=r"another sensor size: \(6, 8\) there, \(12, 16\) now"):
        Larger(root, True)


def test_errors_of_a_sample_name_it(root):
    def picky(events, H, W):
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError) as caught:
        Toy(root, True, "frame", custom_integrate_function=picky, **QUIET)
    assert any("s_0.npy" in note for note in caught.value.__notes__)
    with pytest.raises(TypeError, match="frames must be numbers"):
        Toy(
            root, True, "frame", custom_integrate_function=lambda e, H, W: "text",
            custom_integrated_frames_dir_name="other", **QUIET,
        )  # fmt: skip
    with pytest.raises(TypeError, match="returned None"):
        Toy(root, True, "frame", custom_integrate_function=lambda e, H, W: None, **QUIET)


def test_a_function_that_failed_at_once_may_be_mended(root):
    def build(wrong):
        def whole(events, H, W):
            return wrong or np.ones((1, 2, H, W))

        return whole

    with pytest.raises(TypeError, match="frames must be numbers"):
        Toy(root, True, "frame", custom_integrate_function=build("text"), **QUIET)
    assert len(Toy(root, True, "frame", custom_integrate_function=build(0), **QUIET)) == 9


def test_damaged_samples_are_told(root):
    train = Toy(root, True)
    path = train.samples[0][0]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match="s_0"):
        train[0]


def test_a_full_disk_stops_cleanly_and_the_next_run_completes(root, monkeypatch):
    real, calls = cache.save_array, []

    def full(path, array):
        calls.append(path)
        if len(calls) > 4:
            raise OSError(28, "No space left on device", str(path))
        real(path, array)

    monkeypatch.setattr(cache, "save_array", full)
    with pytest.raises(OSError, match="No space left"):
        Toy(root, True, **FRAMES, **QUIET)
    monkeypatch.undo()
    assert len(list(root.glob("frames*/train/*/*"))) == 4
    assert len(Toy(root, True, **FRAMES, **QUIET)) == 9


def test_samples_that_were_deleted_are_made_again(root):
    frames = Toy(root, True, data_type="frame", duration=400, **QUIET)
    frames.samples[4][0].unlink()
    again = Toy(root, True, data_type="frame", duration=400, **QUIET)
    assert again.samples == frames.samples
    Toy(root, True).samples[4][0].unlink()
    assert len(Toy(root, True, **QUIET)) == 9


def test_a_class_has_to_say_what_it_is(tmp_path):
    with pytest.raises(NotImplementedError, match="get_H_W"):
        NeuromorphicDatasetFolder(tmp_path)

    class Sized(NeuromorphicDatasetFolder):
        @classmethod
        def get_H_W(cls):
            return 1, 1

    with pytest.raises(NotImplementedError, match="Sized must define resource_url_md5"):
        Sized(tmp_path)
    (tmp_path / "extract").mkdir()
    with pytest.raises(NotImplementedError, match="conversions and convert, or create_raw"):
        Sized(tmp_path)
    with pytest.raises(NotImplementedError, match="no synthetic copy"):
        Sized(tmp_path / "fake", fake=True)
    with pytest.raises(NotImplementedError, match="must define convert"):
        Sized.convert(Conversion(tmp_path, ()))
    with pytest.raises(NotImplementedError, match="create_raw_from_extracted"):
        Sized.create_raw_from_extracted(tmp_path, tmp_path)
    with pytest.raises(NotImplementedError, match="downloadable"):
        Sized.downloadable()


def test_named_splits_come_from_their_folder(root):
    class Named(Toy):
        @classmethod
        def dataset_name(cls):
            return "Toy"

        def get_root_when_train_is_none(self, root):
            return root / "test"

    assert Named(root, **QUIET).root == root / "events_np" / "test"


def test_subclasses_share_the_name_of_their_dataset():
    from sj_datasets.n_mnist import NMNIST

    assert type("Mine", (NMNIST,), {}).dataset_name() == "NMNIST"
    assert Toy.dataset_name() == "Toy"


def test_an_extract_folder_that_was_there_is_told(root, caplog):
    Toy(root, False, **QUIET)
    assert "is not checked" not in caplog.text
    shutil.rmtree(root / "events_np")
    assert len(Toy(root, True, **QUIET)) == 9
    assert f"{root}/extract was there already, and is not checked" in caplog.text
