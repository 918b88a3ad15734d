from __future__ import annotations

import os
import pickle
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest

from sj_datasets._fake_words import WORDS
from sj_datasets.errors import FormatError
from sj_datasets.formats.wav import write_wav
from sj_datasets.speechcommands import SILENCE, SpeechCommands

LABELS = {"yes": 0, "no": 1, "dog": 2, SILENCE: 3}
FILES = {
    "yes": ["a_nohash_0", "b_nohash_0", "c_nohash_1", "d_nohash_0"],
    "no": ["a_nohash_0", "b_nohash_0"],
    "dog": ["a_nohash_0", "x"],  # the last one names no speaker
}
VERSION = "SpeechCommands/speech_commands_v0.02"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / VERSION
    rng = np.random.default_rng(0)
    for word, names in FILES.items():
        (folder / word).mkdir(parents=True)
        for k, name in enumerate(names):
            write_wav(folder / word / f"{name}.wav", 0.1 * np.sin(np.arange(50 + k)), 16000)
    (folder / "_background_noise_").mkdir()
    write_wav(folder / "_background_noise_/n_nohash_.wav", 0.2 * rng.random(300), 16000)
    (folder / "validation_list.txt").write_text("yes/c_nohash_1.wav\n\n")
    (folder / "testing_list.txt").write_text("no/b_nohash_0.wav\nyes/d_nohash_0.wav\n")
    return tmp_path


def test_the_training_list_is_all_that_is_in_no_other(root):
    data = SpeechCommands(LABELS, root)
    expected = ["dog/a_nohash_0.wav", "no/a_nohash_0.wav", "yes/a_nohash_0.wav", "yes/b_nohash_0.wav"]  # fmt: skip  # noqa: E501
    assert data.files == expected
    assert data.targets == [2, 1, 0, 0]
    written = root / VERSION / "training_list.txt"
    assert written.read_text().splitlines() == expected
    written.write_text("yes\\b_nohash_0.wav\n")
    assert SpeechCommands(LABELS, root).files == ["yes/b_nohash_0.wav"]


def test_splits_are_those_of_the_lists(root):
    assert SpeechCommands(LABELS, root, split="val").targets == [0]
    assert SpeechCommands(LABELS, root, split="test").targets == [1, 0]
    assert not hasattr(SpeechCommands(LABELS, root, split="test"), "weights")


def test_a_sample_is_one_channel_with_a_peak_of_one(root):
    sound, label = SpeechCommands(LABELS, root)[-1]
    assert sound.shape == (1, 51)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() == 1
    assert label == 0
    with pytest.raises(IndexError):
        SpeechCommands(LABELS, root)[4]


def test_a_silent_recording_stays_silent(root):
    write_wav(root / VERSION / "yes/c_nohash_1.wav", np.zeros(20), 16000)
    assert not SpeechCommands(LABELS, root, split="val")[0][0].any()


def test_weights_draw_every_label_equally_often(root):
    data = SpeechCommands(LABELS, root, silence_cnt=3, silence_size=20)
    assert data.weights.shape == (len(data),) == (7,)
    share = Counter()
    for label, weight in zip(data.targets, data.weights, strict=True):
        share[label] += weight
    np.testing.assert_allclose(list(share.values()), data.weights[0])
    # inverse frequencies, scaled by the sum over labels: 1 + 1 + 1/2 + 1/3
    np.testing.assert_allclose(data.weights[0], 1 / (1 + 1 + 1 / 2 + 1 / 3))
    few = {**LABELS, "no": 5, "dog": 5}  # labels need not be 0, 1, 2, ...
    np.testing.assert_allclose(SpeechCommands(few, root).weights, [0.5, 0.5, 0.5, 0.5])


def test_silence_is_a_crop_of_the_noise(root):
    noise = SpeechCommands(LABELS, root, silence_cnt=1, silence_size=300)[4][0]
    seeded = [
        SpeechCommands(LABELS, root, silence_cnt=8, silence_size=40, seed=1) for _ in range(2)
    ]
    crops = [[data[i][0] for i in range(4, 12)] for data in seeded]
    np.testing.assert_array_equal(crops[0], crops[1])
    assert len({crop.tobytes() for crop in crops[0]}) > 1
    np.testing.assert_array_equal(seeded[0][5][0], crops[0][1])
    windows = np.lib.stride_tricks.sliding_window_view(noise[0], 40)
    for crop in crops[0]:
        scale = windows.max(1, keepdims=True)
        assert np.isclose(windows / scale, crop, atol=1e-6).all(1).any()
    free = SpeechCommands(LABELS, root, silence_cnt=1, silence_size=40)
    assert len({free[4][0].tobytes() for _ in range(20)}) > 1
    assert free[4][1] == 3


def test_silence_needs_noise_of_its_length(root):
    data = SpeechCommands(LABELS, root, silence_cnt=1, silence_size=301)
    with pytest.raises(ValueError, match="has 300 samples"):
        data[4]
    shutil.rmtree(root / VERSION / "_background_noise_")
    with pytest.raises(FileNotFoundError, match="silence"):
        SpeechCommands(LABELS, root, silence_cnt=1)


def test_words_are_numbered_in_order_of_the_alphabet_by_default(root):
    data = SpeechCommands(root=root, silence_cnt=1, silence_size=20)
    assert data.label_dict == {"dog": 0, "no": 1, "yes": 2, SILENCE: 3}
    with pytest.raises(ValueError, match="no label for dog, no"):
        SpeechCommands({"yes": 0}, root)
    with pytest.raises(ValueError, match=f"no label for {SILENCE}"):
        SpeechCommands({"yes": 0, "no": 1, "dog": 1}, root, silence_cnt=1)


def test_transforms_are_applied_and_exchanged(root):
    data = SpeechCommands(LABELS, root, transform=np.shape)
    assert data[0] == ((1, 50), 2)
    assert data.with_transform(np.size)[0] == (50, 2)
    assert pickle.loads(pickle.dumps(data))[0] == ((1, 50), 2)


def test_damage_is_named(root):
    folder = root / VERSION
    write_wav(folder / "yes/c_nohash_1.wav", np.zeros(20), 8000)
    with pytest.raises(FormatError, match="8000 Hz, expected 16000"):
        SpeechCommands(LABELS, root, split="val")[0]
    for entry in ("../secret.wav", "a/b/c.wav", "only.wav"):
        (folder / "validation_list.txt").write_text(f"yes/a_nohash_0.wav\n{entry}\n")
        with pytest.raises(FormatError, match="entry 2"):
            SpeechCommands(LABELS, root, split="val")
    (folder / "testing_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match="testing_list"):
        SpeechCommands(LABELS, root, split="test")


def test_a_folder_that_cannot_be_written_is_read(root, monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert len(SpeechCommands(LABELS, root)) == 4
    assert not (root / VERSION / "training_list.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "train, val, test"),
        ({"silence_cnt": -1}, "silence_cnt"),
        ({"silence_size": 0}, "silence_cnt"),
        ({"url": "speech_commands_v0.03"}, "url must be"),
    ],
)
def test_arguments_are_checked(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        SpeechCommands(LABELS, root, **arguments)
    with pytest.raises(TypeError, match="root is missing"):
        SpeechCommands(LABELS)


@pytest.mark.filterwarnings("ignore:(?s).*synthetic")
def test_the_synthetic_copy_is_the_published_archive(tmp_path):
    train = SpeechCommands(root=tmp_path, fake=True)
    assert sorted(set(train.targets)) == list(range(35))
    assert tuple(train.label_dict)[:35] == WORDS
    assert len(train) == 35 * 4
    for split in ("val", "test"):
        data = SpeechCommands(root=tmp_path, split=split, fake=True, silence_cnt=1)
        assert len(data) == 71
        assert data[0][0].shape == data[70][0].shape == (1, 16000)
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < 25e6


def test_an_archive_is_downloaded_from_a_mirror(root, tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("mirror")
    (place / "SpeechCommands").mkdir()
    with tarfile.open(place / "SpeechCommands" / "mine_v1.tar.gz", "w:gz") as tar:
        for entry in (root / VERSION).iterdir():
            tar.add(entry, f"./{entry.name}")
    monkeypatch.setenv("SJ_DATASETS_MIRROR", str(place))
    new = tmp_path_factory.mktemp("parent") / "new"
    url = "https://example.invalid/mine_v1.tar.gz"
    with pytest.raises(FileNotFoundError, match="download=True"):
        SpeechCommands(LABELS, new, url=url)
    data = SpeechCommands(LABELS, new, url=url, download=True)
    assert data.targets == [2, 1, 0, 0]
    assert data.folder == new / "SpeechCommands" / "mine_v1"
    assert SpeechCommands(LABELS, new, url=url, split="val").targets == [0]


def test_published_files_are_known():
    assert SpeechCommands.downloadable()
    name, address, md5 = SpeechCommands.resource_url_md5()[0]
    assert address.endswith(name)
    assert md5 == "6b74f3901214cb2c2934e98196829835"
    assert SpeechCommands.split_arguments() == [{"split": s} for s in ("train", "val", "test")]
