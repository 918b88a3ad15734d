from __future__ import annotations

import subprocess
import sys

import pytest

import sj_datasets


def test_importing_the_package_stays_light():
    code = (
        "import sys, sj_datasets; "
        "print(*sorted({'torch','h5py','scipy','requests','PIL','av','tqdm'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("module", [sj_datasets, sj_datasets.spike_camera])
def test_every_public_name_exists(module):
    assert all(hasattr(module, name) for name in module.__all__)
