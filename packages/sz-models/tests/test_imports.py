from __future__ import annotations

import subprocess
import sys

import sz_models


def test_importing_the_package_loads_no_optional_library():
    code = (
        "import sys, sz_models; "
        "print(*sorted({'PIL','av','skimage','h5py','requests'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.split() == []


def test_every_public_name_exists():
    assert all(hasattr(sz_models, name) for name in sz_models.__all__)
