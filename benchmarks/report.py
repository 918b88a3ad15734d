"""Measurements as text, and the numbers that they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["target", "target_table", "targets", "text", "text_table"]

Row = dict[str, Any]

PEER = "spikingjelly"
FUSED = ("cpp", "cupy")
# at least so many times faster than the peer, at the large sizes
MUST_BE_FASTER = {
    "both": {(4, 1 << 20): 5.0, (16, 1 << 20): 4.5, (128, 1 << 16): 4.5, (500, 16000): 5.0},
    "forward": {(4, 1 << 20): 7.0, (16, 1 << 20): 6.0, (128, 1 << 16): 6.0, (500, 16000): 7.0},
}
AIM_OVER_FLOOR = {"both": 1.4, "forward": 1.2}
NEURONS_MUST, NEURONS_AIM = 2.0, 4.0  # times faster than the torch backend, both directions
LARGE = 1 << 20  # neuron-steps; below, the time goes into the call and not into the neurons
SAVED_MUST, SAVED_AIM = 4.0, 0.0  # bytes per neuron-step
FIRST_USE_MS, CACHED_MS = 3000.0, 20.0


def targets(result: Row) -> list[Row]:
    """What was wanted and what came out, one row per number."""
    return [*_of_lif(result.get("lif", ())), *_of_neurons(result), *_of_the_rest(result)]


def target(
    kind: str,
    name: str,
    where: str,
    value: float,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Row:
    """A number and its limit; `kind` is must or aim."""
    met = (least is None or value >= least) and (most is None or value <= most)
    row = {"kind": kind, "name": name, "where": where, "value": round(value, 3), "met": met}
    return row | ({"at_least": least} if most is None else {"at_most": most})


def _of_lif(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        direction, size = row["direction"], (row["T"], row["N"])
        ours = _fused_ms(row)
        must = MUST_BE_FASTER[direction].get(size)
        if must is None:
            continue
        where = shape(row)
        if PEER in row["times"]:
            ratio = row["times"][PEER]["ms"] / ours
            yield target("must", f"lif {direction} over {PEER}", where, ratio, least=must)
        floors = ours / row["floor_ms"]
        most = AIM_OVER_FLOOR[direction]
        yield target("aim", f"lif {direction} over the floor", where, floors, most=most)


def _of_neurons(result: Row) -> Iterator[Row]:
    rows = [
        row
        for row in result.get("neurons", ())
        if row["direction"] == "both" and row["T"] * row["N"] >= LARGE
    ]
    if rows:
        worst = min(rows, key=gain)
        where = f"{worst['neuron']}, {shape(worst)}"
        for kind, least in (("must", NEURONS_MUST), ("aim", NEURONS_AIM)):
            yield target(kind, "slowest neuron over torch", where, gain(worst), least=least)


def _of_the_rest(result: Row) -> Iterator[Row]:
    for row in result.get("memory", ()):
        if row["layer"] in FUSED:
            for kind, most in (("must", SAVED_MUST), ("aim", SAVED_AIM)):
                yield target(kind, "bytes saved", shape(row), row["saved"], most=most)
    if start := result.get("start"):
        yield target("must", "first use", "ms", start["compiled"], most=FIRST_USE_MS)
        yield target("must", "first use, cached", "ms", start["cached"], most=CACHED_MS)


def _fused_ms(row: Row) -> float:
    return next(row["times"][name]["ms"] for name in FUSED if name in row["times"])


def gain(row: Row) -> float:
    """How many times faster than the torch backend a fused one is."""
    return row["times"]["torch"]["ms"] / _fused_ms(row)


def shape(row: Row) -> str:
    """`[T, N]`, large powers of two as such."""
    N = row["N"]
    return f"[{row['T']}, {f'2^{N.bit_length() - 1}' if N & (N - 1) == 0 else N}]"


# text


def text(result: Row) -> str:
    """All tables."""
    parts = [_about(result)]
    if rows := result.get("lif"):
        parts.append(_times("LIF, float32: ms (times the floor)", rows))
    if rows := result.get("memory"):
        cells = [(row["layer"], f"{row['saved']:.2f}", f"{row['peak']:.1f}") for row in rows]
        parts.append(text_table("Bytes per neuron-step", ("layer", "saved", "peak"), cells))
    if rows := result.get("neurons"):
        parts.append(_neurons(rows))
    if rows := result.get("dtypes"):
        parts.append(_times("LIF by type of input: ms (times the floor)", rows, "dtype"))
    if rows := result.get("threads"):
        cells = [
            (shape(row), str(row["threads"]), *(f"{t['ms']:.3g}" for t in row["times"].values()))
            for row in rows
        ]
        head = ("size", "threads", *rows[0]["times"])
        parts.append(text_table("LIF by threads: ms by the clock", head, cells))
    if rows := result.get("allocators"):
        parts.append(_times("LIF by allocator: ms (times the floor)", rows, "allocator"))
    if start := result.get("start"):
        cells = [(name, f"{value:.1f}") for name, value in start.items()]
        parts.append(text_table("Start: ms", ("what", "ms"), cells))
    if rows := result.get("targets"):
        parts.append(target_table(rows))
    return "\n\n".join(parts)


def _about(result: Row) -> str:
    cpu, settings = result["cpu"], result["settings"]
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    return (
        f"{settings['device']}; {settings['threads']} thread, allocator {settings['allocator']}, "
        f"load {settings['load']} at start\n{cpu['model']}, {', '.join(cpu['instructions'])}\n"
        f"{versions}"
    )


def _times(title: str, rows: Sequence[Row], extra: str = "") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["times"]))
    head = ["size", *([extra] if extra else []), "direction", "floor", *names]
    cells = []
    for row in rows:
        line = [shape(row), *([row[extra]] if extra else []), row["direction"]]
        line.append(f"{row['floor_ms']:.3g}")
        for name in names:
            ms = row["times"].get(name, {}).get("ms")
            line.append("" if ms is None else f"{ms:.3g} ({ms / row['floor_ms']:.1f})")
        cells.append(line)
    return text_table(title, head, cells)


def _neurons(rows: Sequence[Row]) -> str:
    head = ("neuron", "size", "direction", "floor", "torch", "fused", "gain")
    cells = [
        (
            row["neuron"], shape(row), row["direction"], f"{row['floor_ms']:.3g}",
            f"{row['times']['torch']['ms']:.3g}",
            f"{_fused_ms(row):.3g} ({_fused_ms(row) / row['floor_ms']:.1f})", f"{gain(row):.1f}",
        )
        for row in rows
    ]  # fmt: skip
    return text_table("Every neuron: ms (times the floor), times faster than torch", head, cells)


def target_table(rows: Sequence[Row]) -> str:
    """What was wanted and what came out."""
    cells = []
    for row in rows:
        limit = f"<= {row['at_most']:g}" if "at_most" in row else f">= {row['at_least']:g}"
        passed = "pass" if row["met"] else "MISS"
        cells.append((row["kind"], row["name"], row["where"], f"{row['value']:g}", limit, passed))
    return text_table("Targets", ("kind", "what", "where", "measured", "wanted", ""), cells)


def text_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of the same width each."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]
    return "\n".join((title, *(f"  {line}" for line in lines)))
