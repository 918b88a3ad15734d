from __future__ import annotations

import tarfile

import numpy as np
import pytest

from sj_datasets.dvs128_gesture import DVS128_GESTURE_CLASS_NAMES, DVS128Gesture
from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.aedat3 import write_aedat3

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.fake.SyntheticDataWarning")
QUIET = {"progress": False, "workers": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("gesture")
    DVS128Gesture(root, train=True, fake=True, **QUIET)
    return root


def test_the_synthetic_copy_has_the_published_layout(root):
    names = {path.name for path in (root / "download").iterdir()}
    assert {name for name, _, _ in DVS128Gesture.resource_url_md5()} <= names
    with tarfile.open(root / "download" / "DvsGesture.tar.gz") as archive:
        inside = set(archive.getnames())
    assert {"DvsGesture/trials_to_train.txt", "DvsGesture/user01_led.aedat"} <= inside
    assert "DvsGesture/user01_led_labels.csv" in inside
    mapping = (root / "download" / "gesture_mapping.csv").read_text().splitlines()
    assert len(mapping) == 12 and mapping[1].endswith(",1")


def test_enough_samples_of_every_gesture(root):
    train = DVS128Gesture(root, train=True, **QUIET)
    test = DVS128Gesture(root, train=False, **QUIET)
    assert len(train) > 501 and len(test) >= 22
    assert train.classes == test.classes == ["0", "1", "10", *"23456789"]
    for dataset in (train, test):
        assert all(np.bincount(dataset.targets, minlength=11) >= 2)
    assert any(path.stem.endswith("_1") for path, _ in train.samples)  # a gesture done twice


def test_events_keep_the_time_of_the_recording(root):
    events, label = DVS128Gesture(root, **QUIET)[0]
    assert label == 0 and list(events) == ["t", "x", "y", "p"]
    assert events["t"].size > 1000 and events["t"][0] > 80_000_000
    assert 4_500_000 <= np.ptp(events["t"]) < 7_000_000


def test_frames_of_a_second_are_of_unequal_number(root):
    test = DVS128Gesture(root, False, "frame", duration=1_000_000, **QUIET)
    lengths = {test[i][0].shape[0] for i in range(20)}
    assert lengths <= {4, 5, 6, 7} and len(lengths) > 1
    assert test[0][0].shape[1:] == (2, 128, 128)


def recording(folder, rows, name="user01_lab"):
    """Events every 10 us from 0 to 990."""
    folder = folder / "extract" / "DvsGesture"
    folder.mkdir(parents=True)
    t = np.arange(0, 1000, 10)
    write_aedat3(
        folder / f"{name}.aedat", Events.from_arrays(t, t % 128, t % 128, t % 2, (128, 128))
    )
    lines = ["class,startTime_usec,endTime_usec", *rows]
    (folder / f"{name}_labels.csv").write_text("\n".join(lines) + "\n\n")
    (folder / "trials_to_train.txt").write_text(f"{name}.aedat\n\n")
    (folder / "trials_to_test.txt").write_text("")


def test_every_row_is_a_sample_from_start_to_before_end(tmp_path):
    recording(tmp_path, ["1,0,100", "2,95,205", "2,300,301", "11,5000,6000"])
    train = DVS128Gesture(tmp_path, **QUIET)
    found = {
        path.relative_to(train.root).as_posix(): train[i][0]["t"].tolist()
        for i, (path, _) in enumerate(train.samples)
    }
    assert found == {
        "0/user01_lab_0.npy": [*range(0, 100, 10)],
        "1/user01_lab_0.npy": [*range(100, 210, 10)],
        "1/user01_lab_1.npy": [300],
        "10/user01_lab_0.npy": [],
    }
    assert train.classes == ["0", "1", "10"]
    with pytest.raises(FileNotFoundError, match="holds no sample of DVS128Gesture test"):
        DVS128Gesture(tmp_path, train=False, **QUIET)


@pytest.mark.parametrize("row", ["0,1,2", "12,1,2", "1,2", "a,1,2", "1,2,3,4"])
def test_bad_label_rows_are_told(tmp_path, row):
    recording(tmp_path, ["1,0,100", row])
    with pytest.raises(FormatError, match=r"_labels\.csv: line 3: expected class"):
        DVS128Gesture(tmp_path, **QUIET)


def test_missing_recordings_are_told(tmp_path):
    recording(tmp_path, ["1,0,100"])
    (tmp_path / "extract/DvsGesture/user01_lab.aedat").unlink()
    with pytest.raises(FileNotFoundError, match=r"user01_lab\.aedat"):
        DVS128Gesture(tmp_path, **QUIET)


def test_label_rows_are_needed_to_convert(tmp_path):
    recording(tmp_path, ["1,0,100"])
    (conversion,) = DVS128Gesture.conversions(tmp_path / "extract")
    object.__setattr__(conversion, "detail", None)
    with pytest.raises(TypeError, match="label rows expected"):
        list(DVS128Gesture.convert(conversion))


def test_what_is_published():
    assert not DVS128Gesture.downloadable() and DVS128Gesture.get_H_W() == (128, 128)
    assert len(DVS128_GESTURE_CLASS_NAMES) == 11
    name, url, md5 = DVS128Gesture.resource_url_md5()[0]
    assert name == "DvsGesture.tar.gz" and md5 == "8a5c71fb11e24e5ca5b11866ca6c00a1"
    assert url.startswith("https://ibm.ent.box.com/")
