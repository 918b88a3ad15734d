from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import BytesStorageMetadata
from torch.distributed.checkpoint.state_dict_saver import save

from sj_train import CheckpointError
from sj_train.shard_reader import read_tensors


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "some.shards"
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    with pytest.warns(UserWarning):  # torch: a single process
        save(tensors, storage_writer=FileSystemWriter(folder), no_dist=True)
    return folder


def edit(folder: Path, change: Callable[[Any], Any]) -> None:
    path = folder / ".metadata"
    content = change(pickle.loads(path.read_bytes()))
    path.write_bytes(pickle.dumps(content))


def test_tensors_are_filled_in_place(parts):
    a, b = torch.zeros(2, 3), torch.zeros(2, dtype=torch.bfloat16)
    read_tensors({"a": a, "b": b}, parts)
    assert a.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert b.tolist() == [1.0, 1.0]


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_code_in_the_list_of_contents_is_not_run(parts, tmp_path):
    marker = tmp_path / "ran"

    def change(content: Any) -> Any:
        content.planner_data = RunsCode(marker)
        return content

    edit(parts, change)
    with pytest.raises(CheckpointError, match=rf"some\.shards is damaged.*{os.name}\.mkdir"):
        read_tensors({"a": torch.zeros(2, 3)}, parts)
    assert not marker.exists()


def objects_besides(content: Any) -> Any:
    content.state_dict_metadata["a"] = BytesStorageMetadata()
    return content


def other_places(content: Any) -> Any:
    for place in content.storage_data.values():
        place.relative_path = "../" + place.relative_path
    return content


def no_places(content: Any) -> Any:
    content.storage_data = None
    return content


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (objects_besides, "BytesStorageMetadata"),
        (other_places, "files outside of the folder"),
        (no_places, "it lists no tensors"),
        (lambda content: {"a": 1}, "it lists no tensors"),
    ],
)
def test_what_torch_would_trust_is_refused(parts, change, text):
    edit(parts, change)
    with pytest.raises(CheckpointError, match=rf"some\.shards is damaged.*: .*{text}"):
        read_tensors({"a": torch.zeros(2, 3)}, parts)


@pytest.mark.parametrize("wanted", [{"c": torch.zeros(2)}, {"a": torch.zeros(3, 3)}])
def test_other_tensors_are_refused(parts, wanted):
    with pytest.raises(CheckpointError, match=r"some\.shards is damaged or of another model"):
        read_tensors(wanted, parts)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.shards is missing or incomplete"):
        read_tensors({}, tmp_path / "gone.shards")
