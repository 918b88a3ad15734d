"""The data functions of other libraries, or None where they are not installed.

SpikingJelly imports torchvision and torchaudio with all its datasets, and both fail beside a torch
that they were not built for; Spike-Zoo imports OpenCV and imageio with its reader. None of the
functions measured here uses them, so that stand-ins do.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

__all__ = ["spikezoo_utils", "spikingjelly_utils", "tonic_transforms"]

_UNUSED = ("torchvision", "torchvision.datasets", "torchvision.datasets.utils",
           "torchvision.transforms", "torchaudio")  # fmt: skip


class _Folder:
    """What SpikingJelly's datasets derive from."""


def spikingjelly_utils() -> Any:
    """`spikingjelly.datasets.utils`."""
    if importlib.util.find_spec("spikingjelly") is None:
        return None
    name = "spikingjelly.datasets.utils"
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError):
        for loaded in [n for n in sys.modules if n.startswith(("torchvision", "spikingjelly"))]:
            del sys.modules[loaded]
        sys.modules.update({unused: _stand_in(unused) for unused in _UNUSED})
        return importlib.import_module(name)


def _stand_in(name: str) -> Any:
    module = MagicMock(name=name)
    module.__path__, module.__spec__, module.DatasetFolder = [], None, _Folder
    return module


def tonic_transforms() -> Any:
    """`tonic.transforms`."""
    if importlib.util.find_spec("tonic") is None:
        return None
    return importlib.import_module("tonic.transforms")


def spikezoo_utils() -> Any:
    """The module of Spike-Zoo that reads `.dat` files, without the networks that it comes with."""
    spec = importlib.util.find_spec("spikezoo")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "utils" / "spike_utils.py"
    found = importlib.util.spec_from_file_location("spikezoo_spike_utils", path)
    if found is None or found.loader is None:
        return None
    for unused in ("cv2", "imageio"):
        if importlib.util.find_spec(unused) is None:
            sys.modules[unused] = _stand_in(unused)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
