from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import sj_nir


@pytest.fixture
def file(tmp_path: Path) -> Path:
    inner = nir.NIRGraph(
        {
            "i": nir.Input(np.array([3])),
            "w": nir.Linear(weight=np.random.default_rng(0).normal(size=(3, 3))),
            "o": nir.Output(np.array([3])),
        },
        [("i", "w"), ("w", "o")],
        metadata={"note": "x"},
        type_check=False,
    )
    outer = nir.NIRGraph(
        {"i": nir.Input(np.array([3])), "sub": inner, "o": nir.Output(np.array([3]))},
        [("i", "sub"), ("sub", "o")],
        type_check=False,
    )
    sj_nir.write_graph(tmp_path / "net.nir", outer)
    return tmp_path / "net.nir"


WEIGHT = "node/nodes/sub/nodes/w/weight"


def replaced(name: str, make: Callable[[h5py.File, str], object]) -> Callable[[h5py.File], None]:
    def change(content: h5py.File) -> None:
        del content[name]
        make(content, name)

    return change


def huge(content: h5py.File, name: str) -> None:
    content.create_dataset(name, shape=(10**9, 10**3), dtype="f8", chunks=(1000, 1000))


def many_small(content: h5py.File, name: str) -> None:
    for i in range(40):
        content.create_dataset(f"{name}{i}", shape=(10**6,), dtype="f8", chunks=(1000,))


def virtual(content: h5py.File, name: str) -> None:
    layout = h5py.VirtualLayout(shape=(3, 3), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", shape=(3, 3))
    content.create_virtual_dataset(name, layout)


def external(content: h5py.File, name: str) -> None:
    content.create_dataset(name, shape=(3, 3), dtype="f8", external=[("/etc/hostname", 0, 72)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced(WEIGHT, huge), "declares 8000000000000 bytes, but the file has only"),
        (replaced(WEIGHT, many_small), "declares 8000000 bytes"),
        (
            replaced(WEIGHT, lambda f, n: f.__setitem__(n, h5py.SoftLink("/node"))),
            "is a link to another place",
        ),
        (
            replaced(WEIGHT, lambda f, n: f.__setitem__(n, h5py.ExternalLink("/etc/x.h5", "/"))),
            "is a link to another place",
        ),
        (replaced(WEIGHT, virtual), "keeps its data in other files"),
        (replaced(WEIGHT, external), "keeps its data in other files"),
        (
            replaced(WEIGHT, lambda f, n: f.__setitem__(n, np.dtype("f8"))),
            "neither a group nor a dataset",
        ),
        (replaced(WEIGHT, lambda f, n: f.__setitem__(n, h5py.Empty("f8"))), "is empty"),
        (
            replaced(WEIGHT, lambda f, n: f.__setitem__(n, np.zeros(2, "c16"))),
            "expected numbers or text, got complex128",
        ),
        (
            replaced(WEIGHT, lambda f, n: f.__setitem__(n, np.zeros(2, [("a", "f4")]))),
            "expected numbers or text",
        ),
        (lambda f: f.__setitem__("node/nodes/sub/nodes/w/again", f["node"]), "was met before"),
    ],
)
def test_hostile_files_name_node_and_field(file, change, message):
    with h5py.File(file, "r+") as content:
        change(content)
    with pytest.raises(sj_nir.NIRFileError, match=message) as caught:
        sj_nir.read_graph(file)
    assert caught.value.node == "sub/w"
    assert caught.value.field and caught.value.field.startswith(("weight", "again"))


def test_a_long_text_is_not_read_a_thousand_times(file, monkeypatch):
    monkeypatch.setattr("sj_nir.hdf5._ALLOWANCE", 1 << 16)
    monkeypatch.setattr("sj_nir.hdf5._INFLATION", 2)
    with h5py.File(file, "r+") as content:
        del content["node/edges"]
        texts = content.create_dataset("node/edges", shape=(600, 2), dtype=h5py.string_dtype())
        texts[:] = "x" * 1000
    with pytest.raises(sj_nir.NIRFileError, match=r"field 'edges': declares \d+ bytes"):
        monkeypatch.setattr("sj_nir.hdf5._INFLATION", 0)
        sj_nir.read_graph(file)


def test_groups_may_be_nested_only_so_deep(file):
    with h5py.File(file, "r+") as content:
        content["node"].create_group("metadata/" + "/".join("x" * 120))
    with pytest.raises(sj_nir.NIRFileError, match="nested more than 100 deep"):
        sj_nir.read_graph(file)


def test_a_damaged_dataset_is_named(file):
    with h5py.File(file, "r+") as content:
        dataset = content[WEIGHT]
        start = dataset.id.get_chunk_info(0).byte_offset
        size = dataset.id.get_chunk_info(0).size
    data = bytearray(file.read_bytes())
    data[start : start + size] = b"\xff" * size
    file.write_bytes(data)
    with pytest.raises(sj_nir.NIRFileError, match="'sub/w', field 'weight': cannot be read"):
        sj_nir.read_graph(file)


def test_metadata_that_lead_away_are_named(file):
    with h5py.File(file, "r+") as content:
        content["node/metadata/far"] = h5py.SoftLink("/node")
    with pytest.raises(sj_nir.NIRFileError, match="field 'metadata/far': is a link"):
        sj_nir.read_graph(file)


def test_texts_that_are_none_are_named(file):
    with h5py.File(file, "r+") as content:
        content["node/metadata/bytes"] = b"\xff\xfe"
    with pytest.raises(sj_nir.NIRFileError, match="field 'metadata/bytes': cannot be read"):
        sj_nir.read_graph(file)


def test_a_huge_chunk_is_not_unpacked_for_a_few_numbers(file):
    with h5py.File(file, "r+") as content:
        del content[WEIGHT]
        content.create_dataset(
            WEIGHT, shape=(9,), maxshape=(None,), chunks=(1 << 28,), dtype="i4", scaleoffset=0
        )
    with pytest.raises(sj_nir.NIRFileError, match="'weight': declares 1073741824 bytes"):
        sj_nir.read_graph(file)


def test_the_file_itself_is_read(file):
    assert sj_nir.read_graph(file).nodes["sub"].metadata == {"note": "x"}
