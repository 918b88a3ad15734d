from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import sj_nir


def lif_graph(**metadata) -> nir.NIRGraph:
    values = {field: np.full(3, 1.0) for field in ("r", "v_threshold")}
    rest = {field: np.zeros(3) for field in ("v_leak", "v_reset")}
    return nir.NIRGraph(
        nodes={
            "in": nir.Input({"input": np.array([3])}),
            "lif": nir.LIF(tau=np.full(3, 1e-2), **values, **rest, metadata=metadata),
            "out": nir.Output({"output": np.array([3])}),
        },
        edges=[("in", "lif"), ("lif", "out")],
        metadata={"author": "test", "nested": {"number": 2.5}},
        type_check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sj_nir.write_graph(tmp_path / "net.nir", lif_graph(note="x"))
    return tmp_path / "net.nir"


def changed(file: Path, change: Callable[[h5py.File], object]) -> Path:
    with h5py.File(file, "r+") as content:
        change(content)
    return file


def test_what_is_written_is_read(file):
    graph = sj_nir.read_graph(file)
    assert graph.edges == [("in", "lif"), ("lif", "out")]
    assert graph.metadata == {"author": "test", "nested": {"number": 2.5}}
    assert graph.nodes["lif"].metadata == {"note": "x"}
    np.testing.assert_array_equal(graph.nodes["lif"].tau, np.full(3, 1e-2))


def test_the_nir_library_reads_it_too(file):
    assert nir.read(file).nodes.keys() == {"in", "lif", "out"}


def test_files_from_before_v_reset_and_version_are_read(file):
    def age(content: h5py.File) -> None:
        del content["version"], content["node/nodes/lif/v_reset"]

    graph = sj_nir.read_graph(changed(file, age))
    np.testing.assert_array_equal(graph.nodes["lif"].v_reset, np.zeros(3))


def rename_type(content: h5py.File) -> None:
    del content["node/nodes/lif/type"]
    content["node/nodes/lif/type"] = "Resonator"


def resize(content: h5py.File) -> None:
    del content["node/nodes/lif/r"]
    content["node/nodes/lif/r"] = np.ones(2)


def replace(content: h5py.File, name: str, value: object) -> None:
    del content[f"node/nodes/{name}"]
    content[f"node/nodes/{name}"] = value


def flatten_edges(content: h5py.File) -> None:
    del content["node/edges"]
    content["node/edges"] = np.arange(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("node/nodes/lif/type"), "node 'lif', field 'type': has no type"),
        (rename_type, "node 'lif', field 'type': unknown type 'Resonator'; known are Affine"),
        (lambda f: f.__delitem__("node/nodes/lif/tau"), "node 'lif', field 'tau': is missing"),
        (lambda f: f.__setitem__("node/nodes/lif/x", 1), "node 'lif', field 'x': LIF has only"),
        (lambda f: f.__delitem__("node/nodes/in/shape"), "node 'in', field 'shape': is missing"),
        (resize, r"node 'lif': .*r \(2,\)"),
        (lambda f: f.__delitem__("node/nodes"), "field 'nodes'"),
        (flatten_edges, "field 'edges'"),
        (lambda f: f.__setitem__("node/nodes/stray", 3), "node 'stray', field 'type'"),
        (lambda f: replace(f, "lif/r", "fast"), "node 'lif', field 'r': expected numbers"),
        (lambda f: replace(f, "lif/r", ["a", "b"]), "node 'lif', field 'r': expected numbers"),
        (lambda f: f.move("node/nodes/in", "node/nodes/lif/x"), "field 'x': .* got a group"),
        (lambda f: f.__setitem__("node/nodes/in/metadata", 3), "'in', field 'metadata': .*group"),
    ],
)
def test_damaged_graphs_name_node_and_field(file, change, message):
    with pytest.raises(sj_nir.NIRGraphError, match=message):
        sj_nir.read_graph(changed(file, change))


def test_the_error_carries_node_and_field(file):
    with pytest.raises(sj_nir.NIRGraphError) as caught:
        sj_nir.read_graph(changed(file, lambda f: f.__delitem__("node/nodes/lif/tau")))
    assert (caught.value.node, caught.value.field) == ("lif", "tau")


def loop(content: h5py.File) -> None:
    content["node/nodes/self"] = content["node/nodes"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("node"), "no NIR graph under /node"),
        (lambda f: f.__delitem__("node/type"), "no NIR graph under /node"),
        (
            lambda f: (f["node"].pop("type"), f["node"].create_dataset("type", data=[1, 2])),
            "no NIR",
        ),
        (loop, "node 'self': is a group that was met before"),
    ],
)
def test_hdf5_without_a_graph(file, change, message):
    with pytest.raises(sj_nir.NIRFileError, match=message):
        sj_nir.read_graph(changed(file, change))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.nir").write_bytes(content)
    with pytest.raises(sj_nir.NIRFileError, match=r"x\.nir: not a readable HDF5 file"):
        sj_nir.read_graph(tmp_path / "x.nir")


def test_truncated_files_are_refused(file):
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(sj_nir.NIRFileError, match="not a readable HDF5 file"):
        sj_nir.read_graph(file)


def test_pickles_are_not_opened(tmp_path):
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "x.nir")
    with pytest.raises(sj_nir.NIRFileError):
        sj_nir.import_from_nir(tmp_path / "x.nir")


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.nir: no such file"):
        sj_nir.read_graph(tmp_path / "gone.nir")
    with pytest.raises(IsADirectoryError, match="give a file"):
        sj_nir.read_graph(tmp_path)


def test_a_failed_write_leaves_the_old_file(file):
    before = file.read_bytes()
    graph = lif_graph(unwritable=None)
    with pytest.raises(
        sj_nir.NIRGraphError, match="'lif', field 'metadata/unwritable': NoneType cannot be written"
    ):
        sj_nir.write_graph(file, graph)
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == ["net.nir"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are not known there")
def test_a_full_disk_is_an_error_and_leaves_the_old_file(file):
    before = file.read_bytes()
    code = (
        "import resource, signal, sys, sj_nir\n"
        "sys.dont_write_bytecode = True\n"
        "graph = sj_nir.read_graph(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "try:\n"
        "    sj_nir.write_graph(sys.argv[1], graph)\n"
        "except sj_nir.NIRError as error:\n"
        "    print(type(error).__name__)\n"
    )
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "NIRError"), done.stderr
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_folders_that_cannot_be_written_to(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; create it first"):
        sj_nir.write_graph(tmp_path / "no" / "net.nir", lif_graph())
    with pytest.raises(IsADirectoryError, match="give a file name"):
        sj_nir.write_graph(tmp_path, lif_graph())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="is not writable"):
        sj_nir.write_graph(tmp_path / "net.nir", lif_graph())


@pytest.mark.parametrize("name", ["a/b", ""])
def test_names_that_break_files_are_refused(tmp_path, name):
    graph = lif_graph()
    graph.nodes[name] = graph.nodes.pop("lif")
    with pytest.raises(sj_nir.NIRGraphError, match=r"must not be empty, '\.' or contain"):
        sj_nir.write_graph(tmp_path / "net.nir", graph)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_are_neither_waited_for_nor_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(sj_nir.NIRFileError, match="from a regular file"):
        sj_nir.read_graph(tmp_path / "pipe")
    with pytest.raises(PermissionError, match="device or pipe"):
        sj_nir.write_graph(tmp_path / "pipe", lif_graph())
    assert (tmp_path / "pipe").is_fifo()


def test_the_longest_names_of_files_can_be_written(tmp_path):
    file = tmp_path / ("\u5c64" * 85)  # 255 bytes
    sj_nir.write_graph(file, lif_graph())
    assert len(sj_nir.read_graph(file).nodes) == 3


def test_single_numbers_and_lists_of_texts_are_written_again(file):
    def change(content: h5py.File) -> None:
        replace(content, "lif/v_threshold", np.float32(1.5))
        for field in ("r", "tau", "v_leak", "v_reset"):
            replace(content, f"lif/{field}", np.float32(0.5))
        content["node/metadata/tags"] = ["a", "\u5c64"]
        content["node/metadata/fixed"] = np.array([b"a", b"b"])

    graph = sj_nir.read_graph(changed(file, change))
    assert graph.metadata["tags"].tolist() == ["a", "\u5c64"]
    assert graph.metadata["fixed"].tolist() == ["a", "b"]
    graph.metadata["more"] = np.array(["c"])
    sj_nir.write_graph(file, graph)
    again = sj_nir.read_graph(file)
    assert again.nodes["lif"].v_threshold == np.float32(1.5)
    assert np.asarray(again.nodes["lif"].v_threshold).dtype == np.float32
    assert [again.metadata[key].tolist() for key in ("tags", "fixed", "more")] == [
        ["a", "\u5c64"],
        ["a", "b"],
        ["c"],
    ]


def test_metadata_whose_names_would_change_are_refused(tmp_path):
    graph = lif_graph(**{"a/b": 1})
    with pytest.raises(sj_nir.NIRGraphError, match="'lif', field 'metadata/a/b': a name in a file"):
        sj_nir.write_graph(tmp_path / "net.nir", graph)


def test_names_are_checked_in_nested_graphs_too(tmp_path):
    outer, inner = lif_graph(), lif_graph()
    inner.nodes["a/b"] = inner.nodes.pop("lif")
    outer.nodes["sub"] = inner
    with pytest.raises(sj_nir.NIRGraphError, match="node 'sub/a/b': a name in a file"):
        sj_nir.write_graph(tmp_path / "net.nir", outer)


def test_nodes_come_in_the_order_of_the_edges(tmp_path):
    graph = lif_graph()
    lif = graph.nodes["lif"]
    graph.nodes.update({"_10": lif, "_2": lif, "a": lif})
    graph.edges[:] = [("in", "lif"), ("lif", "_2"), ("_2", "_10"), ("_10", "a"), ("a", "out")]
    sj_nir.write_graph(tmp_path / "net.nir", graph)
    found = sj_nir.read_graph(tmp_path / "net.nir")
    assert list(found.nodes) == ["in", "lif", "_2", "_10", "a", "out"]


def test_nested_graphs_are_read(tmp_path):
    inner = lif_graph()
    outer = nir.NIRGraph(
        {"i": nir.Input(np.array([3])), "sub": inner, "o": nir.Output(np.array([3]))},
        [("i", "sub"), ("sub", "o")],
        type_check=False,
    )
    sj_nir.write_graph(tmp_path / "net.nir", outer)
    assert sj_nir.read_graph(tmp_path / "net.nir").nodes["sub"].nodes.keys() == inner.nodes.keys()
