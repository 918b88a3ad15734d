"""Reads what ``torch.distributed.checkpoint`` wrote, without running code from the files.

Its list of contents, ``.metadata``, is a pickle; only the classes that such a list is made of are
let in.  The tensors themselves are files that torch reads weights-only.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from .errors import CheckpointError

__all__ = ["read_tensors"]

_CLASSES = {
    "pathlib": {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "torch": {"Size"},
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.serialization": {"_get_layout"},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        is_type = module_name == "torch" and isinstance(
            getattr(torch, global_name, None), torch.dtype
        )
        if not is_type and global_name not in _CLASSES.get(module_name, ()):
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return super().find_class(module_name, global_name)


class _Reader(FileSystemReader):
    """A reader that trusts neither the list of contents nor the places that it names."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        with (Path(self.path) / ".metadata").open("rb") as file:
            metadata = _Unpickler(file).load()
        if not isinstance(metadata, Metadata) or not isinstance(metadata.storage_data, dict):
            raise pickle.UnpicklingError("it lists no tensors")
        entries = metadata.state_dict_metadata.values()
        # Anything else than a tensor would be unpickled by torch.
        if not all(isinstance(entry, TensorStorageMetadata) for entry in entries):
            raise pickle.UnpicklingError("it lists objects other than tensors")
        for place in metadata.storage_data.values():
            if Path(place.relative_path).name != place.relative_path:
                raise pickle.UnpicklingError("it names files outside of the folder")
        return metadata


def read_tensors(tensors: dict[str, Tensor], folder: Path) -> None:
    """Fill ``tensors``, whole ones or this process's parts (``DTensor``), from ``folder``.

    Each process reads for itself what it needs.

    Raises:
        CheckpointError: missing, damaged, or of other tensors; the text names the folder.
    """
    if not (folder / ".metadata").is_file():
        raise CheckpointError(f"{folder} is missing or incomplete: it has no file .metadata")
    try:
        with warnings.catch_warnings():
            # torch says that no processes talk to each other.
            warnings.simplefilter("ignore")
            load(tensors, storage_reader=_Reader(folder), no_dist=True)
    except CheckpointException as error:
        first, _ = next(iter(error.failures.values()))
        raise _damaged(folder, first) from error
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError) as error:
        raise _damaged(folder, error) from error
    except (pickle.UnpicklingError, TypeError, IndexError, AssertionError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, reason: BaseException) -> CheckpointError:
    line = str(reason).partition("\n")[0] or type(reason).__name__
    return CheckpointError(f"{folder} is damaged or of another model: {line}")
