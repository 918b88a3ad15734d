from __future__ import annotations

import pickle
import warnings
import zipfile

import numpy as np
import pytest

from sj_datasets.formats.spike_trains import SpikeTrainFile, write_spike_trains
from sj_datasets.shd import (
    SHD_N_CLASSES,
    SSC_N_CLASSES,
    SpikingHeidelbergDigits,
    SpikingSpeechCommands,
)

W = 700
LABELS = [10, 2, 0, 19, 2, 10, 1]


@pytest.fixture
def root(tmp_path):
    """A root that holds the files of both splits only."""
    rng = np.random.default_rng(0)
    (tmp_path / "events_h5").mkdir()
    for split, labels in (("train", LABELS), ("test", LABELS[:3])):
        rows = [(np.sort(rng.random(30)), rng.integers(0, W, 30)) for _ in labels]
        write_spike_trains(tmp_path / f"events_h5/shd_{split}.h5", rows, labels)
    return tmp_path


def trains(root, split="train"):
    return SpikeTrainFile(root / f"events_h5/shd_{split}.h5")


def test_event_samples_are_those_of_the_file(root):
    data = SpikingHeidelbergDigits(root, train=True)
    assert len(data) == 7
    assert data.targets == LABELS
    for i, (t, x) in enumerate(trains(root)):
        sample, label = data[i]
        assert label == LABELS[i]
        assert type(label) is int
        assert list(sample) == ["t", "x"]
        np.testing.assert_array_equal(sample["t"], t)
        np.testing.assert_array_equal(sample["x"], x)
        assert sample["t"].dtype == np.float16
    with pytest.raises(IndexError):
        data[7]


@pytest.mark.parametrize(
    "arguments",
    [
        {"frames_number": 4, "split_by": "time"},
        {"frames_number": 4, "split_by": "number"},
        {"duration": 100},
    ],
)
def test_frames_come_in_the_order_and_with_the_labels_of_the_file(root, arguments):
    cached = SpikingHeidelbergDigits(root, True, "frame", **arguments)
    fresh = SpikingHeidelbergDigits(root, True, "frame", cache=False, **arguments)
    assert cached.targets == fresh.targets == LABELS
    for i in range(7):
        frames, label = cached[i]
        assert frames.dtype == np.float32
        assert frames.shape[1:] == (W,)
        assert frames.sum() == 30
        assert label == LABELS[i]
        np.testing.assert_array_equal(frames, fresh[i][0])


def test_finished_frames_need_no_events(root):
    def open_frames(train):
        return SpikingHeidelbergDigits(root, train, "frame", frames_number=3, split_by="number")

    before = open_frames(True)[3][0]
    (root / "events_h5/shd_train.h5").unlink()
    np.testing.assert_array_equal(open_frames(True)[3][0], before)
    assert not (open_frames(True).processed_root / "test").exists()
    assert len(open_frames(False)) == 3


def test_an_interrupted_build_goes_on(root, tmp_path):
    seen = tmp_path / "seen"
    seen.touch()

    def stop_at_the_fourth(events, H, W):
        with seen.open("a") as file:
            file.write(".")
        if seen.stat().st_size == 4:
            raise KeyboardInterrupt
        return np.ones((1, W))

    def build():
        return SpikingHeidelbergDigits(
            root, True, "frame", custom_integrate_function=stop_at_the_fourth
        )

    with pytest.raises(KeyboardInterrupt):
        build()
    assert build().targets == LABELS
    assert seen.stat().st_size == 4 + 4  # three of seven were there


def test_transforms_are_applied_and_exchanged(root):
    data = SpikingHeidelbergDigits(
        root, transform=lambda s: len(s["t"]), target_transform=lambda y: -y
    )
    assert data[1] == (30, -2)
    other = data.with_transform(lambda s: sorted(s))
    assert other[1] == (["t", "x"], 2)
    assert data[1] == (30, -2)


def test_datasets_go_to_loader_workers(root):
    data = SpikingHeidelbergDigits(root)
    data[0]
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy[4][0]["t"], data[4][0]["t"])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loader_of_torch_reads_it_in_workers(root):
    torch = pytest.importorskip("torch", reason="tensors need torch")
    data = SpikingHeidelbergDigits(root, True, "frame", duration=100, cache=False)
    data[0]
    from sj_datasets.collate import pad_sequence_collate

    loader = torch.utils.data.DataLoader(
        data, batch_size=4, num_workers=1, collate_fn=pad_sequence_collate
    )
    batches = [(x.shape[2], y.tolist()) for x, y, _ in loader]
    assert batches == [(W, LABELS[:4]), (W, LABELS[4:])]


def own_files(h5_file, i, output_dir, W):
    label = h5_file["labels"][i]
    np.savez(f"{output_dir}/{label}/{i}.npz", frames=np.full((2, W), i))


def test_custom_functions_of_both_kinds(root):
    def first_spike(events, H, W):
        frames = np.zeros((1, W))
        frames[0, events["x"][0]] = 1
        return frames

    mine = SpikingHeidelbergDigits(root, True, "frame", custom_integrate_function=first_spike)
    assert mine.processed_root == root / "first_spike"
    assert mine[2][0].sum() == 1
    theirs = SpikingHeidelbergDigits(root, True, "frame", custom_integrate_function=own_files)
    assert theirs.targets == LABELS
    assert [int(theirs[i][0][0, 0]) for i in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="cache=False"):
        SpikingHeidelbergDigits(
            root, True, "frame", custom_integrate_function=own_files, cache=False
        )


def test_trees_of_other_libraries_are_read(root):
    folder = root / "duration_7" / "train" / "2"
    folder.mkdir(parents=True)
    for name in ("10", "9", "extra"):
        np.savez_compressed(folder / f"{name}.npz", frames=np.ones((3, W)))
    data = SpikingHeidelbergDigits(root, True, "frame", duration=7)
    assert [path.stem for path, _ in data.samples] == ["9", "10", "extra"]
    assert data.targets == [2, 2, 2]
    assert data[0][0].dtype == np.float32
    folder.rename(folder.with_name("two"))
    with pytest.raises(ValueError, match="two: folders must be named by labels"):
        SpikingHeidelbergDigits(root, True, "frame", duration=7)


def test_the_published_archives_are_unpacked(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("published")
    (other / "extract").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no shd_test\.h5"):
        SpikingHeidelbergDigits(other, train=False)
    (root / "events_h5/shd_test.h5").rename(other / "extract/shd_test.h5")
    assert len(SpikingHeidelbergDigits(other, train=False)) == 3
    assert (other / "events_h5/shd_test.h5").exists()


def test_labels_of_another_dataset_are_refused(root):
    path = root / "events_h5/shd_test.h5"
    path.unlink()
    write_spike_trains(path, [([0.0], [1])], [20])
    with pytest.raises(ValueError, match=r"labels 20..20, expected 0..19"):
        SpikingHeidelbergDigits(root, train=False)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        SpikingHeidelbergDigits(tmp_path / "none")
    with pytest.raises(ValueError, match="train must be"):
        SpikingHeidelbergDigits(tmp_path, train=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="train, valid, test"):
        SpikingSpeechCommands(tmp_path, split="val")
    with pytest.raises(ValueError, match="exactly one"):
        SpikingHeidelbergDigits(tmp_path, data_type="frame")


def test_each_dataset_names_its_own_files():
    assert SpikingHeidelbergDigits.downloadable()
    assert SpikingSpeechCommands.downloadable()
    names = [name for name, _, _ in SpikingSpeechCommands.resource_url_md5()]
    assert names == ["ssc_train.h5.zip", "ssc_valid.h5.zip", "ssc_test.h5.zip"]
    assert [n for n, _, _ in SpikingHeidelbergDigits.resource_url_md5()] == [
        "shd_train.h5.zip",
        "shd_test.h5.zip",
    ]
    assert SpikingHeidelbergDigits.get_H_W() == (None, 700)


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [(SpikingHeidelbergDigits, SHD_N_CLASSES), (SpikingSpeechCommands, SSC_N_CLASSES)],
)
def test_synthetic_copies_hold_all_classes_in_all_splits(tmp_path, dataset, classes):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*synthetic")
        splits = [
            dataset(tmp_path, **split, fake=True, progress=False)
            for split in dataset.split_arguments()
        ]
    archives = sorted((tmp_path / "download").iterdir())
    assert len(archives) == len(splits)
    assert all(zipfile.is_zipfile(a) for a in archives)
    for data in splits:
        assert sorted(set(data.targets)) == list(range(classes))
        assert min(map(data.targets.count, data.targets)) >= 2
        assert len(data.classes) == classes


def test_the_synthetic_words_can_be_learned(open_fake):
    def features(train):
        data = open_fake(
            "SpikingHeidelbergDigits",
            train=train, data_type="frame", frames_number=3, split_by="time", cache=False,
        )  # fmt: skip
        x = np.stack([data[i][0].reshape(3, 35, 20).sum(2).ravel() for i in range(len(data))])
        return x / x.sum(1, keepdims=True), np.array(data.targets)

    (x, y), (x_test, y_test) = features(True), features(False)
    means = np.stack([x[y == k].mean(0) for k in range(20)])
    nearest = np.square(x_test[:, None] - means).sum(2).argmin(1)
    assert (nearest == y_test).mean() > 0.8
