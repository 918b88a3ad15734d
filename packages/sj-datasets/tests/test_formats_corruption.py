"""Readers of every format on damaged files: a typed error or events, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.asl_dvs import read_asl_dvs, write_asl_dvs
from sj_datasets.formats.bullying10k import read_bullying10k, write_bullying10k
from sj_datasets.formats.columns import read_columns, write_columns
from sj_datasets.formats.es_imagenet import read_es_imagenet, write_es_imagenet
from sj_datasets.formats.evt2 import read_evt2, write_evt2
from sj_datasets.formats.evt3 import read_evt3, write_evt3
from sj_datasets.formats.navgesture import read_navgesture, write_navgesture
from sj_datasets.formats.prophesee_dat import read_prophesee_dat, write_prophesee_dat
from sj_datasets.formats.wav import read_wav, write_wav

EVENTS = Events.from_arrays([3, 9, 9, 70_000], [1, 2, 3, 130], [5, 6, 7, 8], [1, 1, 0, 1])
COMPRESSED = {"compressed": True}
FORMATS = {
    "a.dat": (read_prophesee_dat, write_prophesee_dat, {}),
    "evt2.raw": (read_evt2, write_evt2, {}),
    "evt3.raw": (read_evt3, write_evt3, {}),
    "td.dat": (read_navgesture, write_navgesture, {}),
    "a.npy": (read_columns, write_columns, {}),
    "a.npz": (read_columns, write_columns, {}),
    "compressed.npz": (read_columns, write_columns, COMPRESSED),
    "es.npz": (read_es_imagenet, write_es_imagenet, {}),
    "bullying.npy": (read_bullying10k, write_bullying10k, {"frames": 2}),
    "a.mat": (read_asl_dvs, write_asl_dvs, {}),
    "a.wav": (read_wav, lambda path, _: write_wav(path, [0.5, -0.5, 1.0], 16000), {}),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """A valid file of each format, some of them cut down to few bytes of padding."""
    folder = tmp_path_factory.mktemp("whole")
    for name, (_, write, options) in FORMATS.items():
        write(folder / name, EVENTS, **options)
    return {name: (folder / name).read_bytes() for name in FORMATS}


def check(name: str, content: bytes, folder) -> None:
    path = folder / name
    path.write_bytes(content)
    try:
        result = FORMATS[name][0](path)
    except FormatError as error:
        assert str(error).startswith(str(path))
        return
    if isinstance(result, Events):
        assert set(np.unique(result["p"])) <= {0, 1}


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_files(name, whole, tmp_path):
    content = whole[name]
    step = max(1, len(content) // 60)
    for length in range(0, len(content), step):
        check(name, content[:length], tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_bytes(name, whole, tmp_path_factory, data):
    content = bytearray(whole[name])
    where = st.integers(0, len(content) - 1)
    value = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for position, byte in data.draw(st.lists(st.tuples(where, value), min_size=1, max_size=4)):
        content[position] = byte
    check(name, bytes(content), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=200), kept=st.integers(0, 140))
def test_any_bytes_after_a_valid_start(name, whole, tmp_path_factory, content, kept):
    check(name, whole[name][:kept] + content, tmp_path_factory.getbasetemp())
