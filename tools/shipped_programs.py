"""Writes the programs of the library in platform wheels: ``python tools/shipped_programs.py``.

A wheel is built without torch, so the programs that its library holds are traced ahead, into
``kernels/shipped_programs.json``. Run this where sj-neurons is installed, after any change to the
step of a neuron or to how it is traced. ``--check`` changes nothing and tells whether that is due.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator

from sj_neurons import neuron, surrogate
from sj_neurons.kernels.build_shipped import PROGRAMS
from sj_neurons.kernels.trace import trace

__all__ = ["named_neurons", "text"]

# A program is the same for all v_reset other than 0, and for all thresholds and time constants.
RESETS = {"hard reset to 0": 0.0, "hard reset": -1.0, "soft reset": None}
SURROGATES = (surrogate.ATan, surrogate.Sigmoid)


def named_neurons() -> Iterator[tuple[str, neuron.BaseNode]]:
    """One neuron for each program, with what tells them apart in words."""
    shared = itertools.product(SURROGATES, RESETS.items(), (False, True))
    for make_surrogate, (reset, v_reset), detach in list(shared):
        end = f"{make_surrogate.__name__}, {reset}{', detached' * detach}"
        given = {"v_reset": v_reset, "detach_reset": detach}
        yield f"IFNode, {end}", neuron.IFNode(surrogate_function=make_surrogate(), **given)
        for make, decay in itertools.product(
            (neuron.LIFNode, neuron.ParametricLIFNode), (False, True)
        ):
            input_ = "decaying input" if decay else "whole input"
            node = make(decay_input=decay, surrogate_function=make_surrogate(), **given)
            yield f"{make.__name__}, {input_}, {end}", node


def text() -> str:
    """What the file should hold."""
    programs = {name: trace(node).program.text for name, node in sorted(named_neurons())}
    return json.dumps({"float32": programs}, indent=0) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Trace the programs that platform wheels bring.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if it is due")
    arguments = parser.parse_args()
    wanted = text()
    if PROGRAMS.is_file() and PROGRAMS.read_text(encoding="utf-8") == wanted:
        print(f"shipped_programs: {PROGRAMS.name} is up to date")
        return 0
    if arguments.check:
        print(
            f"shipped_programs: {PROGRAMS} is stale: run python tools/shipped_programs.py",
            file=sys.stderr,
        )
        return 1
    part = PROGRAMS.with_suffix(".part")
    part.write_text(wanted, encoding="utf-8")
    os.replace(part, PROGRAMS)
    print(f"shipped_programs: wrote {PROGRAMS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
