"""What decoding and passing over spike-camera recordings costs, for `bench_events.py`.

Spike-Zoo's loader is called from its installed file alone, because importing the package needs
some forty others: `pip install --no-deps spikezoo==0.2.3.7` beside torch, OpenCV and imageio.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from sj_datasets import load_vidar_dat, save_vidar_dat, simulate_spikes
from sj_datasets.spike_camera.datasets import moving_scene

__all__ = ["contenders", "memory_of_a_pass", "write_recording"]

N_FRAMES, HEIGHT, WIDTH = 301, 250, 400


def write_recording(path: Path) -> None:
    """A synthetic recording as large as Spike-Zoo's `data.dat`; decoding costs the same for all."""
    scene = moving_scene(N_FRAMES, HEIGHT, WIDTH, np.random.default_rng(0))
    save_vidar_dat(path, simulate_spikes(scene, 1 / 0.6, rng=0))


def contenders(path: Path) -> dict[str, Callable[[], object]]:
    """Ways to read a recording of 301 x 250 x 400 pixels, by name.

    `read + copy` reads the file and copies the unpacked bytes into a fresh array, `read + fill`
    writes one value instead; nothing that decodes can be faster. `spikezoo` is left out where it
    is not installed.
    """
    unpacked = load_vidar_dat(path, HEIGHT, WIDTH)

    def read_and_copy() -> object:
        return np.fromfile(path, np.uint8), unpacked.copy()

    def read_and_fill() -> object:
        packed, spikes = np.fromfile(path, np.uint8), np.empty_like(unpacked)
        spikes.fill(1)
        return packed, spikes

    calls: dict[str, Callable[[], object]] = {
        "sj_datasets": lambda: load_vidar_dat(path, HEIGHT, WIDTH),
        "read + copy": read_and_copy,
        "read + fill": read_and_fill,
    }
    peer = _spikezoo()
    if peer is not None:
        loaded = peer.load_vidar_dat(str(path), HEIGHT, WIDTH)
        if not np.array_equal(loaded, unpacked):
            raise RuntimeError("Spike-Zoo and sj_datasets decode different spikes")
        calls["spikezoo"] = lambda: peer.load_vidar_dat(str(path), HEIGHT, WIDTH)
    return calls


_PASS = """
import resource, sys
from sj_datasets import SpikeStream
stream = SpikeStream(sys.argv[1], 1000, 1000)
spikes = sum(int(block[:, ::50, ::50].sum()) for block in stream.chunks())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, spikes)
"""


def memory_of_a_pass(gigabytes: float) -> int:
    """Peak bytes of a process that decodes all of a sparse recording of that size, in chunks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.dat"
        with path.open("wb") as file:
            file.truncate(int(gigabytes * 1e9) // 125_000 * 125_000)
        done = subprocess.run(
            [sys.executable, "-c", _PASS, str(path)], capture_output=True, text=True, check=True
        )
    return int(done.stdout.split()[0])


def _spikezoo() -> ModuleType | None:
    package = importlib.util.find_spec("spikezoo")
    if package is None or not package.submodule_search_locations:
        return None
    file = Path(package.submodule_search_locations[0]) / "utils" / "spike_utils.py"
    spec = importlib.util.spec_from_file_location("spikezoo_spike_utils", file)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
