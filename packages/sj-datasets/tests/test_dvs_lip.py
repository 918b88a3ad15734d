"""DVS-Lip: published arrays are used as they are."""

from __future__ import annotations

import numpy as np

from sj_datasets.dvs_lip import DVS_LIP_WORDS, DVSLip


def test_labels_follow_the_words(open_fake):
    for train in (True, False):
        dataset = open_fake("DVSLip", train=train)
        assert tuple(dataset.classes) == DVS_LIP_WORDS == tuple(sorted(DVS_LIP_WORDS))
        assert len(dataset) == 200


def test_small_integers_of_the_files_become_columns(open_fake):
    dataset = open_fake("DVSLip")
    events, _ = dataset[0]
    raw = np.load(dataset.samples[0][0])
    assert raw.dtype["x"] == np.int8  # the file itself, not a copy in our type
    for field in "txyp":
        np.testing.assert_array_equal(events[field], raw[field])


def test_facts_of_the_publisher():
    assert DVSLip.get_H_W() == (128, 128)
    assert not DVSLip.downloadable()
    assert [r[0] for r in DVSLip.resource_url_md5()] == ["DVS-Lip.zip"]
