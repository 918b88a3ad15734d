from __future__ import annotations

import re

import pytest

from sj_datasets.download import dataset_names, resources

CLASSES = [
    "NMNIST",
    "NCaltech101",
    "CIFAR10DVS",
    "DVS128Gesture",
    "ASLDVS",
    "NAVGestureWalk",
    "NAVGestureSit",
    "SpikingHeidelbergDigits",
    "SpikingSpeechCommands",
    "ESImageNet",
    "HARDVS",
    "DVSLip",
    "Bullying10kClassification",
    "SpeechCommands",
    "MNIST",
    "FashionMNIST",
    "CIFAR10",
]


@pytest.mark.parametrize("dataset", sorted({*CLASSES, *dataset_names()}))
def test_entries_are_well_formed(dataset):
    found = resources(dataset)
    assert found.dataset == dataset
    assert found.page.startswith("https://")
    assert found.files
    names = [file.name for file in found.files]
    assert len(set(names)) == len(names)
    for file in found.files:
        assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
        assert all(re.match("https?://", url) for url in file.urls)
        assert file.urls or not found.downloadable
    assert any(file.required for file in found.files)


def test_no_two_files_share_a_checksum():
    sums = [file.md5 for name in dataset_names() for file in resources(name).files if file.md5]
    assert len(set(sums)) == len(sums)


def test_downloadable_is_as_documented():
    by_hand = {name for name in CLASSES if not resources(name).downloadable}
    assert by_hand == {
        "NMNIST",
        "NCaltech101",
        "DVS128Gesture",
        "ASLDVS",
        "NAVGestureWalk",
        "NAVGestureSit",
        "HARDVS",
        "DVSLip",
    }


def test_speech_commands_do_not_name_the_files_of_digits():
    names = [file.name for file in resources("SpikingSpeechCommands").files]
    assert names == ["ssc_train.h5.zip", "ssc_valid.h5.zip", "ssc_test.h5.zip"]


def test_triples_name_an_address_or_the_page():
    gesture = resources("DVS128Gesture")
    file, url, md5 = gesture.url_md5()[0]
    assert (file, url) == ("DvsGesture.tar.gz", gesture.page)
    assert md5 == "8a5c71fb11e24e5ca5b11866ca6c00a1"
    assert resources("ESImageNet").url_md5()[24][0] == "ES-imagenet-0.18.part25.rar"
    assert resources("CIFAR10DVS").url_md5()[0] == (
        "airplane.zip",
        "https://ndownloader.figshare.com/files/7712788",
        "0afd5c4bf9ae06af762a77b180354fdd",
    )


def test_unknown_names_get_a_hint():
    with pytest.raises(KeyError, match="did you mean 'NMNIST'"):
        resources("NMnist")
    with pytest.raises(KeyError, match=r"known are NMNIST, "):
        resources("qqqqqqqqq")
