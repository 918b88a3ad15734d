from __future__ import annotations

import zipfile

import numpy as np
import pytest

from sj_datasets.events import Events
from sj_datasets.formats.atis import write_atis
from sj_datasets.n_mnist import NMNIST

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.fake.SyntheticDataWarning")
QUIET = {"progress": False, "workers": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("n_mnist")
    NMNIST(root, train=True, fake=True, **QUIET)
    return root


def test_the_synthetic_copy_has_the_published_layout(root):
    for split in ("Train", "Test"):
        with zipfile.ZipFile(root / "download" / f"{split}.zip") as archive:
            names = archive.namelist()
        digits = {name.split("/")[1] for name in names}
        assert digits == set("0123456789")
        assert all(name.startswith(f"{split}/") and name.endswith(".bin") for name in names)


def test_samples_of_both_splits(root):
    train, test = NMNIST(root, **QUIET), NMNIST(root, train=False, **QUIET)
    assert len(train) == 200 and len(test) == 50
    assert train.classes == list("0123456789")
    for dataset in (train, test):
        assert all(np.bincount(dataset.targets) >= 2)
    events, label = train[50]
    assert label == 2 and max(events["x"].max(), events["y"].max()) < 34
    frames = NMNIST(root, False, "frame", 4, "number", **QUIET)
    assert frames[0][0].shape == (4, 2, 34, 34) and frames[0][0].sum() == test[0][0]["t"].size


def test_events_outside_the_sensor_are_refused(root, tmp_path):
    with zipfile.ZipFile(root / "download" / "Train.zip") as archive:
        archive.extractall(tmp_path / "extract")
    path = tmp_path / "extract/Train/3/00001.bin"
    write_atis(path, Events.from_arrays([0], [40], [0], [0]))
    with pytest.raises(ValueError, match="outside the sensor") as caught:
        NMNIST(tmp_path, **QUIET)
    assert any(str(path) in note for note in caught.value.__notes__)


def test_what_is_published():
    assert not NMNIST.downloadable() and NMNIST.get_H_W() == (34, 34)
    assert [(name, md5) for name, _, md5 in NMNIST.resource_url_md5()] == [
        ("Train.zip", "20959b8e626244a1b502305a9e6e2031"),
        ("Test.zip", "69ca8762b2fe404d9b9bad1103e97832"),
    ]


def test_a_split_must_be_chosen(root):
    with pytest.raises(ValueError, match="train must be True or False, got None"):
        NMNIST(root, train=None)  # type: ignore[arg-type]


def test_other_processes_make_the_same_files(root, tmp_path):
    parallel = NMNIST(tmp_path, True, "frame", 3, "time", fake=True, workers=2, progress=False)
    alone = NMNIST(root, True, "frame", 3, "time", **QUIET)
    assert [(p.name, label) for p, label in parallel.samples] == [
        (p.name, label) for p, label in alone.samples
    ]
    for (mine, _), (theirs, _) in zip(parallel.samples, alone.samples, strict=True):
        assert mine.read_bytes() == theirs.read_bytes()
