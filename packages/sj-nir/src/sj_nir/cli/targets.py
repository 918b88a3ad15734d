"""List the chips that graphs can be held against, their limits and where these are stated."""

from __future__ import annotations

import argparse

from ..targets import Target, get, names

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", choices=names(), help="only this one, with its sources"
    )


def execute(args: argparse.Namespace) -> int:
    if args.name is None:
        for name in names():
            print(f"{name}: {get(name).title}")
    else:
        print("\n".join(_lines(get(args.name))))
    return 0


def _lines(target: Target) -> list[str]:
    rows = [(limit.what, limit.shown, limit.source) for limit in target.limits]
    if target.nodes is not None:
        rows.insert(0, ("types of nodes", ", ".join(target.nodes), target.nodes_source))
    sources = list(dict.fromkeys(source for _, _, source in rows))
    lines = [f"{target.name}: {target.title}"]
    lines += [f"  {what}: {shown} [{sources.index(source) + 1}]" for what, shown, source in rows]
    return lines + [f"  [{number}] {source}" for number, source in enumerate(sources, 1)]
