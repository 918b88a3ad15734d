"""Exchange NIR graphs with other frameworks and write down what came of it.

    python tools/interop.py --python INTERPRETER [--folder FOLDER]

INTERPRETER is that of an environment with the frameworks (`nox -s interop` makes one). Our networks
are written and read there, theirs are read here; results go to docs/_data/nir_reads.csv,
nir_writes.csv and nir_interop.json. Ends with status 1 if a file, ours or theirs, is not read
rightly here.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from interop_networks import NETWORKS, write  # noqa: E402

FRAMEWORKS = ["norse", "snntorch", "spikingjelly", "sinabs"]
DATA = ROOT / "docs" / "_data"
EQUAL, DIFFERS, REFUSED = "=", "≠", "-"
Cell = dict[str, str]  # mark, and why


def judge(out: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> Cell:
    """Whether the outputs are those wanted, in the order of their names."""
    pairs = list(zip(out.values(), wanted.values(), strict=False))
    if len(out) != len(wanted) or any(a.shape != b.shape for a, b in pairs):
        shapes = [list(value.shape) for value in out.values()]
        return {"mark": DIFFERS, "why": f"outputs of shape {shapes}"}
    worst = max(float(np.abs(a - b).max()) for a, b in pairs)
    if worst <= 1e-4:
        return {"mark": EQUAL, "why": ""}
    wrong = min(int(np.argmax(np.abs(a - b).max(axis=tuple(range(1, a.ndim))) > 1e-4))
                for a, b in pairs if np.abs(a - b).max() > 1e-4)  # fmt: skip
    return {"mark": DIFFERS, "why": f"off by {worst:.3g}, first at step {wrong}"}


def arrays(path: Path, prefix: str) -> dict[str, np.ndarray]:
    with np.load(path) as saved:
        return {name: saved[name] for name in sorted(saved) if name.startswith(prefix)}


def what_they_read(framework: str, folder: Path, stems: dict[str, str]) -> dict[str, Cell]:
    """Our networks in a framework: the cell of each."""
    cells = {}
    for name, stem in stems.items():
        note = json.loads((folder / framework / f"{stem}.json").read_text(encoding="utf-8"))
        if note["error"]:
            cells[name] = {"mark": REFUSED, "why": note["error"]}
        else:
            out = arrays(folder / framework / f"{stem}.npz", "y")
            cells[name] = judge(out, arrays(folder / "ours" / f"{stem}.npz", "y"))
    return cells


def what_we_read(framework: str, folder: Path) -> dict[str, Cell]:
    """Networks that a framework wrote, in ours: the cell of each."""
    cells = {}
    for path in sorted((folder / framework / "exports").glob("*.json")):
        note = json.loads(path.read_text(encoding="utf-8"))
        if note["error"]:
            cells[note["name"]] = {"mark": REFUSED, "why": f"not written: {note['error']}"}
        else:
            cells[note["name"]] = read_here(path.with_suffix(".nir"), note["told"])
    return cells


def read_here(path: Path, told: dict[str, Any]) -> Cell:
    import torch

    import sj_nir

    with np.load(path.with_suffix(".npz")) as saved:
        x = torch.from_numpy(saved["x"])
    try:
        net = sj_nir.import_from_nir(path, step_mode="m", **told)
        with torch.no_grad():
            out, _ = net(x)
    except (sj_nir.NIRError, ValueError) as error:
        return {"mark": REFUSED, "why": str(error)}
    outs = out if isinstance(out, tuple) else (out,)
    found = {f"y{i}": value.numpy() for i, value in enumerate(outs)}
    return judge(found, arrays(path.with_suffix(".npz"), "y"))


def write_tables(read: dict[str, dict[str, Cell]], written: dict[str, dict[str, Cell]]) -> None:
    DATA.mkdir(exist_ok=True)
    for file, table in [("nir_reads.csv", read), ("nir_writes.csv", written)]:
        rows = list(dict.fromkeys(name for cells in table.values() for name in cells))
        with (DATA / file).open("w", encoding="utf-8", newline="") as target:
            sheet = csv.writer(target, lineterminator="\n")
            sheet.writerow(["", *table])
            for name in rows:
                sheet.writerow([name, *(table[f].get(name, {"mark": ""})["mark"] for f in table)])


def versions(python: str) -> dict[str, str]:
    """Versions of what took part."""
    wanted = [*FRAMEWORKS, "nir", "nirtorch", "torch"]
    code = f"import importlib.metadata as m; print(*[m.version(n) for n in {wanted!r}])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found = dict(zip(wanted, done.stdout.split(), strict=True))
    return {**found, "sj-nir": metadata.version("sj-nir")}


def exchange(python: str, folder: Path) -> int:
    """All frameworks, one after another; returns the exit status."""
    (folder / "ours").mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the soft reset that others will not see
        stems = {name: write(name, folder / "ours") for name in NETWORKS}
    ours = {name: read_here(folder / "ours" / f"{stem}.nir", {}) for name, stem in stems.items()}
    read = {"sj-nir": ours}
    written: dict[str, dict[str, Cell]] = {}
    for framework in FRAMEWORKS:
        command = [python, str(ROOT / "tools" / "interop_peer.py"), framework, str(folder)]
        log = folder / f"{framework}.log"
        with log.open("wb") as sink:
            status = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT).returncode
        if status:
            print(log.read_text(encoding="utf-8", errors="replace")[-2000:], file=sys.stderr)
            return 2
        read[framework] = what_they_read(framework, folder, stems)
        written[framework] = what_we_read(framework, folder)
        marks = [cell["mark"] for cell in read[framework].values()]
        print(f"{framework} reads {marks.count(EQUAL)} of {len(marks)} as meant, "
              f"{marks.count(DIFFERS)} otherwise")  # fmt: skip
    write_tables(read, written)
    record = {"versions": versions(python), "reads": read, "writes": written}
    text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True)
    (DATA / "nir_interop.json").write_text(text + "\n", encoding="utf-8")
    failed = 0
    for framework, cells in {**written, "sj-nir": ours}.items():
        for name, cell in cells.items():
            if cell["mark"] != EQUAL and not cell["why"].startswith("not written"):
                print(f"{framework}'s {name!r} is not read rightly here: {cell['why']}")
                failed = 1
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", required=True, help="interpreter that has the frameworks")
    parser.add_argument("--folder", type=Path, help="where to keep what is exchanged")
    args = parser.parse_args()
    if args.folder is not None:
        return exchange(args.python, args.folder)
    with tempfile.TemporaryDirectory() as folder:
        return exchange(args.python, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
