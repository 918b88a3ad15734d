"""The notes on exchange with NIR: their code blocks run, and print what the notes show.

The blocks are read from the notes and run one after the other in one namespace; only their imports
change.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

IMPORTS = {
    "from spikingjelly.activation_based import layer, neuron": (
        "import sj_layers as layer\nfrom sj_neurons import neuron"
    ),
    "from spikingjelly.activation_based import nir_exchange": "import sj_nir as nir_exchange",
}
NET, EXPORT, IMPORT, SEQUENCES = range(4)

# where the notes print something else, besides metadata
DIFFERENCES = {
    # the notes show a convolution from 3 to 16 channels the wrong way round
    "Conv2d(16, 3, ": "Conv2d(3, 16, ",
    # the soft reset of the network is kept, the notes lose it
    "v_threshold=1.0, v_reset=0.0, detach_reset=False, step_mode=s, backend=torch, tau=10.0": (
        "v_threshold=1.0, v_reset=None, detach_reset=False, step_mode=s, backend=torch, tau=10.0"
    ),
    # the state is with the modules, so that there is none to make
    "ones = torch.ones(1);  ones = None\n": "",
}


@pytest.fixture(scope="module")
def blocks(shared: Path) -> dict[str, list[str]]:
    """The blocks of the notes by language."""
    notes = next((shared / "seeds").glob("002_*.txt"), None)
    if notes is None:
        pytest.skip(f"the notes are not in {shared}")
    found: dict[str, list[str]] = {}
    pattern = r"^( *)\.\. code:: (\w+)\n\n((?:\1 +\S.*(?:\n|\Z)|\s*\n)*)"
    for _, language, block in re.findall(pattern, notes.read_text("utf-8"), re.M):
        found.setdefault(language, []).append(textwrap.dedent(block))
    assert [len(found["python"]), len(found["text"])] == [4, 2]
    return found


def run(blocks: dict[str, list[str]], *numbers: int) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for number in numbers:
        code = blocks["python"][number]
        for theirs, ours in IMPORTS.items():
            code = code.replace(theirs, ours)
        exec(compile(code, "<notes>", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# graphs


def parsed(text: str) -> Any:
    """A printed graph: nodes as (kind, fields), arrays of integers as such, others as `...`."""

    def array(values: Any, **_: Any) -> Any:
        is_shape = isinstance(values, list) and all(type(value) is int for value in values)
        return tuple(values) if is_shape else ...

    kinds = re.findall(r"\b([A-Z]\w*)\(", text)
    makers = {kind: lambda kind=kind, **fields: (kind, fields) for kind in kinds}
    return eval(text, {"array": array, "float32": None, **makers})


def assert_shows(ours: Any, theirs: Any, place: str) -> None:
    """All that the notes show is in what is printed; metadata may say more."""
    if place.endswith("metadata"):
        return
    if isinstance(theirs, dict):
        assert [key for key in ours if key in theirs] or not theirs, place
        for key, value in theirs.items():
            assert_shows(ours[key], value, f"{place}.{key}")
    elif isinstance(theirs, tuple) and len(theirs) == 2 and isinstance(theirs[1], dict):
        assert ours[0] == theirs[0], place
        assert_shows(ours[1], theirs[1], f"{place}.{theirs[0]}")
    else:
        assert ours == theirs, place


def test_the_exported_graph_is_printed_as_in_the_notes(blocks, folder, capsys):
    run(blocks, NET, EXPORT)
    ours, theirs = parsed(capsys.readouterr().out), parsed(blocks["text"][0])
    assert_shows(ours, theirs, "graph")
    assert list(ours[1]["nodes"]) == list(theirs[1]["nodes"])
    assert (folder / "example.h5").stat().st_size > 0


# networks


def lines(text: str) -> list[str]:
    """The lines without indentation, empty ones left out, tau rounded."""
    text = re.sub(r"tau=([\d.]+)", lambda found: f"tau={float(found[1]):.6g}", text)
    text = text.replace("tau=10\n", "tau=10.0\n")
    text = re.sub(r"(state : typing_Dict\[str,typing_Any\]) = .*\):", r"\1):", text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_imported_network_is_printed_as_in_the_notes(blocks, capsys):
    run(blocks, NET, EXPORT)
    capsys.readouterr()
    names = run(blocks, NET, EXPORT, IMPORT)
    shown = capsys.readouterr().out
    theirs = blocks["text"][1]
    for before, after in DIFFERENCES.items():
        assert before in theirs
        theirs = theirs.replace(before, after)
    assert lines(shown[shown.index("GraphModule(") :]) == lines(theirs)
    assert torch.equal(names["y"][0], names["net"](names["x"]))


def test_sequences_run_as_in_the_notes(blocks, capsys):
    names = run(blocks, NET, EXPORT, IMPORT, SEQUENCES)
    assert "y.shape = torch.Size([7, 9, 10])" in capsys.readouterr().out
    steps = torch.stack([names["net"](x) for x in names["x"]])
    assert torch.equal(names["y"][0], steps)
