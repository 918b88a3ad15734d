"""Event and spike data: ours against SpikingJelly, tonic and Spike-Zoo.

    python benchmarks/bench_events.py                      tables
    python benchmarks/bench_events.py --json FILE          and the numbers as JSON
    python benchmarks/bench_events.py --check              status 1 if a number misses what it must

What is measured: event_parts.py. A library that is not installed is left out. The last table shows
that each further event costs about the same, however many there are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_neuron import write
from machine import ALLOCATORS, allocator, cpu, load, restart_with, versions

DISTRIBUTIONS = ("numpy", "spikingjelly", "tonic", "spikezoo")
COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
_SHORT = 0.02  # seconds that one measurement takes at least
GROWTH_MUST = 2.0  # what an event may cost among the most events, over that among the fewest


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--json", metavar="FILE", help="where to write all numbers; - prints them")
    made.add_argument("--check", action="store_true", help="fail if a number misses what it must")
    made.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    made.add_argument("--seconds", type=float, default=8.0, help="CPU time per table")
    made.add_argument(
        "--allocator", choices=("kept", "hugepages", "default", "as-is"), default="default",
        help="setting of the C library; as-is leaves the environment alone",
    )  # fmt: skip
    return made


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    at_start = load()
    import sj_datasets
    from event_parts import all_parts
    from timing import interleaved

    seconds = 0.0 if options.quick else options.seconds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for part in all_parts(Path(folder), options.quick):
            print(f"measuring: {part.work}", file=sys.stderr, flush=True)
            times = interleaved(part.contenders, seconds, short=_SHORT)
            ratios = [_ratio(r, times) for r in part.ratios if r.slow in times]
            ms = {name: time.record() for name, time in times.items()}
            rows.append({"part": part.name, "work": part.work, "ms": ms, "ratios": ratios})
    return {
        "benchmark": "events",
        "schema": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "versions": {"sj-datasets": sj_datasets.__version__, **versions(DISTRIBUTIONS)},
        "settings": {"allocator": allocator(), "allocators": ALLOCATORS, "load": at_start},
        "parts": rows,
        "growth": _growth(seconds, COUNTS[:2] if options.quick else COUNTS),
    }


def _ratio(ratio: Any, times: dict[str, Any]) -> dict[str, Any]:
    binds = ratio.allocator in (None, allocator())
    return {
        "slow": ratio.slow,
        "fast": ratio.fast,
        "least": ratio.least if binds else None,
        "most": ratio.most if binds else None,
        "value": round(times[ratio.slow].ms / times[ratio.fast].ms, 2),
    }


def _growth(seconds: float, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Time to integrate more and more events, and what each further event costs."""
    from event_parts import DURATION, H, T, W, recording  # after the allocator is settled
    from sj_datasets import frames
    from timing import interleaved

    print("measuring: growth with the number of events", file=sys.stderr, flush=True)
    rows: list[dict[str, Any]] = []
    last: dict[str, tuple[int, float]] = {}
    for N in counts:
        events = recording(N)
        contenders = {
            "number": lambda e=events: frames.integrate_events_by_fixed_frames_number(
                e, "time", T, H, W
            ),
            "duration": lambda e=events: frames.integrate_events_by_fixed_duration(
                e, DURATION // T, H, W
            ),
        }
        for name, time in interleaved(contenders, seconds / len(counts)).items():
            fewer, ms = last.get(name, (0, 0.0))
            # the time for the fewest events is mostly that of writing the frames
            ns = round((time.ms - ms) * 1e6 / (N - fewer), 3) if fewer else None
            rows.append({"by": name, "N": N, "ms": time.record(), "ns": ns})
            last[name] = N, time.ms
    return rows


def table(result: dict[str, Any]) -> str:
    """The numbers for reading."""
    lines = [f"CPU time, allocator {result['settings']['allocator']!r}"]
    for row in result["parts"]:
        lines += ["", row["work"]]
        lines += [f"  {name:<28}{time['ms']:10.3f} ms" for name, time in row["ms"].items()]
        for ratio in row["ratios"]:
            wanted = "".join(
                f", must be {word} {ratio[key]:g}"
                for key, word in (("least", "at least"), ("most", "at most"))
                if ratio[key] is not None
            )
            lines.append(f"  {ratio['slow']} / {ratio['fast']}: {ratio['value']:.2f}{wanted}")
    lines += ["", "growth: time, and nanoseconds per further event"]
    for row in result["growth"]:
        ns = "" if row["ns"] is None else f"{row['ns']:8.2f}"
        lines.append(f"  by {row['by']:<10}{row['N']:>12} events{row['ms']['ms']:10.3f} ms{ns}")
    return "\n".join(lines)


def missed(result: dict[str, Any]) -> list[str]:
    """What misses what it must."""
    names = [
        f"{row['part']}: {ratio['slow']} / {ratio['fast']}"
        for row in result["parts"]
        for ratio in row["ratios"]
        if (ratio["least"] is not None and ratio["value"] < ratio["least"])
        or (ratio["most"] is not None and ratio["value"] > ratio["most"])
    ]
    for by in ("number", "duration"):
        ns = [row["ns"] for row in result["growth"] if row["by"] == by and row["ns"]]
        if ns[-1] > GROWTH_MUST * ns[0]:
            names.append(f"growth by {by}")
    return names


def main() -> int:
    options = parser().parse_args()
    if options.allocator != "as-is":
        restart_with(options.allocator)
    result = measure(options)
    print(table(result), file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json:
        text = json.dumps(result, indent=1) + "\n"
        if options.json == "-":
            print(text, end="")
        else:
            write(text, Path(options.json))
    failures = missed(result) if options.check else []
    if failures:
        print(f"missed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
