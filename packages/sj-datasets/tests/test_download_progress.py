from __future__ import annotations

import subprocess
import sys

from sj_datasets.download import progress_bar


def test_a_bar_goes_to_standard_error(capsys):
    with progress_bar(2000, "loading", initial=500) as bar:
        bar.update(1500)
    out, err = capsys.readouterr()
    assert out == ""
    assert "loading" in err
    assert "2.00k/2.00k" in err


def test_other_units_and_unknown_totals(capsys):
    with progress_bar(None, "counting", unit="sample") as bar:
        bar.update(3)
    assert "3sample" in capsys.readouterr().err


def test_without_a_bar_nothing_is_loaded_or_shown(capsys):
    with progress_bar(1, "loading", enabled=False) as bar:
        bar.update(1)
    assert capsys.readouterr() == ("", "")
    code = (
        "import sys; from sj_datasets.download import *\n"
        "with progress_bar(1, '', enabled=False) as bar: bar.update()\n"
        "print(*{'tqdm', 'requests'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.split() == []
