"""Tables of measurements in two languages, made from the JSON files in benchmarks/results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "results"
PEER = "spikingjelly"
FUSED = ("cpp", "cupy")
NAMES = {
    "cpp": "sj_neurons, cpp",
    "cupy": "sj_neurons, cupy",
    "torch": "sj_neurons, torch",
    "spikingjelly": "SpikingJelly",
    "snntorch": "snnTorch",
    "norse": "Norse",
    "sinabs": "Sinabs",
}
Row = dict[str, Any]


class Table(NamedTuple):
    """Cells as text; the first line is the head."""

    head: list[str]
    rows: list[list[str]]


Say = Callable[[str], str]


def say_in(language: str) -> Say:
    """Words of a language; what has no translation, such as a name, stays."""
    file = Path(__file__).with_name("speed_words.json")
    words = json.loads(file.read_text(encoding="utf-8"))[language]
    return lambda word: words.get(word, word)


def results(folder: Path = RESULTS) -> list[Row]:
    """All measurements that pages show, those on a CPU first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    known = ("neuron", "training", "events", "reconstruct", "networks", "models", "nir")
    known += ("trainer", "sequences", "distributed")
    ours = [r for r in found if r.get("benchmark") in known and r.get("schema") == 1]
    return sorted(ours, key=lambda r: (r["settings"].get("device", "cpu") != "cpu", r["benchmark"]))


def size(row: Row) -> str:
    """`[T, N]`, powers of two as such."""
    N = row["N"]
    exponent = str(N.bit_length() - 1).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"[{row['T']}, {N if N & (N - 1) else '2' + exponent}]"


def ms(row: Row, name: str) -> float | None:
    """Median time of a contender, None if it was not there."""
    timing = row["times"].get(name)
    return None if timing is None else timing["ms"]


def fused(row: Row) -> str:
    """Name of our fused backend in a row."""
    return next(name for name in FUSED if name in row["times"])


def contenders(rows: Iterable[Row]) -> list[str]:
    """Names in the order of `NAMES`."""
    present = {name for row in rows for name in row["times"]}
    return [name for name in NAMES if name in present]


def number(value: float | None) -> str:
    """Three digits."""
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def lif(result: Row, say: Say) -> Table:
    """Every size: the floor, all contenders, and how much faster the fused backend is."""
    rows = result["lif"]
    names = contenders(rows)
    ours = fused(rows[0])
    others = [name for name in names if name != ours]
    head = [
        say("size"),
        say("direction"),
        say("floor"),
        *(f"{NAMES[n]}, {say('ms')}" for n in names),
    ]
    head += [say("times floor"), *(say("faster than").format(NAMES[name]) for name in others)]
    cells = []
    for row in rows:
        own = row["times"][ours]["ms"]
        line = [size(row), say(row["direction"]), number(row["floor_ms"])]
        line += [number(ms(row, name)) for name in names]
        line += [f"{own / row['floor_ms']:.2f}"]
        line += [gain(row, name) for name in others]
        cells.append(line)
    return Table(head, cells)


def gain(row: Row, name: str) -> str:
    """How many times faster the fused backend is than `name`."""
    other = ms(row, name)
    return "" if other is None else f"{other / row['times'][fused(row)]['ms']:.1f}"


def memory(result: Row, say: Say) -> Table:
    """Bytes per neuron-step."""
    return Table(
        [say("layer"), say("saved"), say("peak")],
        [
            [NAMES[row["layer"]], f"{row['saved']:.3g}", f"{row['peak']:.3g}"]
            for row in result["memory"]
        ],
    )


def neurons(result: Row, say: Say) -> Table:
    """Every neuron at the first of the sizes: times over the torch backend."""
    table: dict[tuple[str, str], dict[str, Row]] = {}
    for row in result["neurons"]:
        table.setdefault((row["neuron"], size(row)), {})[row["direction"]] = row
    head = [say("neuron"), say("size"), say("forward, ms"), say("faster forward")]
    head += [say("forward + backward, ms"), say("faster both")]
    cells = []
    for (name, where), rows in table.items():
        line = [name, where]
        for direction in ("forward", "both"):
            row = rows.get(direction)
            line += [number(ms(row, fused(row))), gain(row, "torch")] if row else ["", ""]
        cells.append(line)
    return Table(head, cells)


def by_setting(part: str, column: str) -> Callable[[Row, Say], Table]:
    """A table of times where one more column tells the setting."""

    def table(result: Row, say: Say) -> Table:
        rows = result[part]
        names = contenders(rows)
        head = [say("size"), say(column), say("direction")]
        head += [*(f"{NAMES[name]}, {say('ms')}" for name in names), say("times floor")]
        cells = []
        for row in rows:
            own = row["times"][fused(row)]["ms"]
            line = [size(row), say(row[column]), say(row["direction"])]
            line += [*(number(ms(row, name)) for name in names), f"{own / row['floor_ms']:.2f}"]
            cells.append(line)
        return Table(head, cells)

    return table


def threads(result: Row, say: Say) -> Table:
    """Wall-clock times by number of threads."""
    head = [say("size"), say("threads"), say("forward, ms"), say("forward + backward, ms")]
    cells = [
        [size(row), str(row["threads"]), *(number(ms(row, d)) for d in ("forward", "both"))]
        for row in result["threads"]
    ]
    return Table(head, cells)


def start(result: Row, say: Say) -> Table:
    """What a process waits for."""
    rows = [[say(name), number(value)] for name, value in result["start"].items()]
    return Table([say("what"), say("ms")], rows)


def targets(result: Row, say: Say, part: str = "targets") -> Table:
    """What was wanted and what came out."""
    cells = []
    for row in result[part]:
        limit = f"≤ {row['at_most']:g}" if "at_most" in row else f"≥ {row['at_least']:g}"
        where = row["where"].replace("ms", say("ms"))
        met = say("yes" if row["met"] else "no")
        cells.append([say(row["name"]), where, say(row["kind"]), limit, f"{row['value']:g}", met])
    head = [say(word) for word in ("what", "where", "kind", "wanted", "measured", "met")]
    return Table(head, cells)


def training(result: Row, say: Say) -> Table:
    """One step of each network: SpikingJelly, ours as it is and at its best."""
    head = [say("network"), f"SpikingJelly, {say('ms')}", say("plain, ms"), say("best, ms")]
    head += [say("configuration"), say("faster than").format("SpikingJelly"), say("ceiling")]
    cells = []
    for row in result["training"]:
        times = [row["ms"][name]["ms"] for name in ("spikingjelly", "plain", row["best"])]
        line = [row["net"], *map(number, times), row["best"]]
        cells.append([*line, f"{row['gain']:.2f}", f"{row['ceiling']:.2f}"])
    return Table(head, cells)


def parts(result: Row, say: Say) -> Table:
    """Event and spike-camera data: each comparison, and what the ratio must be."""
    work = f"{say('work')} ({say('allocator')}: {say(result['settings']['allocator'])})"
    head = [work, *(say(word) for word in ("slow", "ms", "fast", "ms", "ratio", "wanted"))]
    cells = []
    for row in result["parts"]:
        for ratio in row["ratios"]:
            pair = [(ratio[end], row["ms"][ratio[end]]["ms"]) for end in ("slow", "fast")]
            line = [say(row["work"])]
            line += [text for name, value in pair for text in (say(name), number(value))]
            limits = (("≥", ratio["least"]), ("≤", ratio["most"]))
            wanted = "".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
            cells.append([*line, number(ratio["value"]), wanted])
    return Table(head, cells)


def growth(result: Row, say: Say) -> Table:
    """Time to integrate more and more events, and what each further one costs."""
    if result["settings"]["allocator"] != "default":
        return Table([], [])  # the same, told once
    head = [say(word) for word in ("events N", "split", "ms", "ns per further event")]
    cells = [
        [f"{row['N']:,}", say(row["by"]), number(row["ms"]["ms"]), number(row["ns"])]
        for row in result["growth"]
    ]
    return Table(head, cells)


def videos(result: Row, say: Say) -> Table:
    """Images at all key frames: ours, Spike-Zoo's loop, and writing so much memory alone."""
    ms = {name: time["ms"] for name, time in result["ms"].items()}
    head = [say("video"), f"sz-models, {say('ms')}", f"Spike-Zoo, {say('ms')}", say("floor")]
    head += [say("faster than").format("Spike-Zoo"), say("must"), say("aim")]
    cells = []
    for name, row in result["gains"].items():
        method, kind = name.split(" ")
        floor = "counts" if kind in ("counts", "intervals") else kind
        times = (ms[name], ms[f"spikezoo {method}"], ms[f"floor {floor}"])
        gains = (f"{row[which]:g}" for which in ("gain", "must", "aim"))
        cells.append([f"{method}, {say(kind)}", *map(number, times), *gains])
    return Table(head, cells)


def networks(result: Row, say: Say) -> Table:
    """One image by each network, ours and Spike-Zoo's."""
    head = [say("network"), f"sz-models, {say('ms')}", f"Spike-Zoo, {say('ms')}"]
    head += [say("faster than").format("Spike-Zoo"), say("must")]
    cells = [
        [name, number(row["ours"]["ms"]), number(row["spikezoo"]["ms"])]
        + [f"{row[which]:g}" for which in ("gain", "must")]
        for name, row in result["networks"].items()
    ]
    return Table(head, cells)


def models(result: Row, say: Say) -> Table:
    """Whole models: training step, inference, memory and construction, ours over SpikingJelly's."""
    head = [say("network"), say("training step, ms"), "SpikingJelly"]
    head += [say("ratio"), say("must"), say("ceiling")]
    head += [say("inference, ms"), "SpikingJelly", say("ratio"), say("must")]
    head += [say("memory over SpikingJelly"), say("construction over SpikingJelly")]
    cells = []
    for name, row in result["models"].items():
        line = [name]
        for work in ("training", "inference"):
            for who in (row[f"{work}_best"], "spikingjelly"):
                line.append(number(row[work][who]["ms"]))
            must = row["must"][work]
            line += [f"{row[f'{work}_gain']:.2f}", "" if must is None else f"≥ {must:g}"]
            line += [f"{row['ceiling']:.2f}"] if work == "training" else []
        cells.append(
            [*line, *(f"{row[f'{part}_ratio']:.2f}" for part in ("memory", "construction"))]
        )
    return Table(head, cells)


def trainer(result: Row, say: Say) -> Table:
    """One training step: the loop written out, the Trainer, SpikingJelly."""
    names = ("bare", "trainer", "channels_last", "spikingjelly")
    head = [say("network"), *(f"{say(name)}, {say('ms')}" for name in names)]
    head += [say("trainer over bare"), say("faster than").format("SpikingJelly"), say("ceiling")]
    cells = []
    for row in result["trainer"]:
        line = [row["network"]]
        line += [number(row["ms"][name]["ms"] / row["batches"]) for name in names]
        line += [f"{row['overhead']:.3f}", *(f"{row[key]:.2f}" for key in ("gain", "ceiling"))]
        cells.append(line)
    return Table(head, cells)


def resume(result: Row, say: Say) -> Table:
    """Fresh processes until their first training step is done."""
    found = result["resume"]
    cells = [
        [say(name), f"{row['seconds']:.2f}", f"{row['samples_read']:.0f}"]
        for name, row in found["rows"].items()
    ]
    return Table([say("start of the run"), say("seconds"), say("samples read")], cells)


def sequences(result: Row, say: Say) -> Table:
    """Memory and time of a step over many time steps."""
    head = [say(word) for word in ("network", "option", "peak, MiB", "of plain", "ms", "of plain")]
    cells = []
    for row in result["sequences"]:
        line = [f"{row['network']}, T = {row['T']}", say(row["way"])]
        line += [number(row["peak_bytes"] / 2**20), f"{row['memory']:.2f}"]
        cells.append([*line, number(row["ms"]["ms"]), f"{row['time']:.2f}"])
    return Table(head, cells)


def nir(result: Row, say: Say) -> Table:
    """NIR files: import, and a run of a sequence by ours and by Norse's import."""
    head = [say(word) for word in ("file", "import, ms", "steps", "run, ms")]
    head += [f"{NAMES['norse']}, {say('ms')}", say("faster than").format(NAMES["norse"])]
    cells = []
    for row in result["nir"]:
        ms = {name: timing["ms"] for name, timing in row["ms"].items()}
        line = [row["file"], number(ms["import"]), str(row["steps"]), number(ms["sj_nir"])]
        cells.append([*line, number(ms.get("norse")), f"{row['gain']:g}" if "gain" in row else ""])
    return Table(head, cells)


def machine(result: Row, say: Say) -> Table:
    """What was measured on."""
    cpu, settings = result["cpu"], result["settings"]
    about = [cpu["model"]]
    if "family" in cpu:
        about.append(f"family {cpu['family']}, model {cpu['number']}")
    about += [*cpu["instructions"], *(f"{x.upper()} {cpu[x]}" for x in ("l2", "l3") if x in cpu)]
    rows = [[say("processor"), ", ".join(about)], [say("date"), result["date"]]]
    if settings["device"] != "cpu":
        rows.insert(0, [say("device"), settings["device"]])
    rows += [[say("load at start"), str(settings["load"])]]
    rows += [[NAMES.get(name, name), version] for name, version in result["versions"].items()]
    return Table([say("what"), ""], rows)


TABLES: dict[str, Callable[[Row, Say], Table]] = {
    "lif": lif,
    "memory": memory,
    "neurons": neurons,
    "dtypes": by_setting("dtypes", "dtype"),
    "allocators": by_setting("allocators", "allocator"),
    "threads": threads,
    "start": start,
    "targets": targets,
    "training": training,
    "parts": parts,
    "growth": growth,
    "videos": videos,
    "networks": networks,
    "models": models,
    "trainer": trainer,
    "resume": resume,
    "sequences": sequences,
    "trainer_targets": partial(targets, part="trainer_targets"),
    "nir": nir,
    "machine": machine,
}


def table(kind: str, result: Row, language: str) -> Table:
    """One of `TABLES`; without rows if the result lacks the part."""
    if kind == "machine" and result["benchmark"] != "neuron":
        return Table([], [])  # the same machine, told once
    part = {"machine": "cpu", "videos": "gains"}.get(kind, kind)
    return TABLES[kind](result, say_in(language)) if result.get(part) else Table([], [])


def chart(rows: Sequence[Row], direction: str) -> tuple[list[str], dict[str, list[float]]]:
    """Sizes, and for each contender its times over the floor; NaN where it is missing."""
    chosen = [row for row in rows if row["direction"] == direction]
    bars = {
        name: [(ms(row, name) or float("nan")) / row["floor_ms"] for row in chosen]
        for name in contenders(chosen)
    }
    return [size(row) for row in chosen], bars
