"""Lets docstrings hold plain equations and shapes such as ``[T, N, *]`` without markup.

An indented block after prose, and a paragraph in columns, become literal blocks, so that equations
keep their lines; stars, bars and a trailing underscore stand for themselves (so there is no
emphasis in docstrings).
Everything else stays reStructuredText in Google style.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_SECTION = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Attributes|Examples?|Notes?)\s*:")
_GAP = re.compile(r"[^\s.!?:] {2,}\S")
_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_SYMBOL = re.compile(r"(?<![\\*])\*(?!\*)|(?<!\\)\||(?<=\w)_(?!\w)")


def indented_columns(lines: list[str]) -> list[str]:
    """Indents each paragraph that is laid out in columns, so that it counts as a block."""
    out: list[str] = []
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if not blank and _is_prose(paragraph[0]) and _in_columns(paragraph):
            paragraph = [f"    {line}" for line in paragraph]
        out += paragraph
    return out


def _in_columns(paragraph: list[str]) -> bool:
    """Whether some line has a wide gap inside, or the paragraph's indent comes and goes."""
    indented = [line.startswith(" ") for line in paragraph]
    returns = any(a and not b for a, b in itertools.pairwise(indented))
    return returns or any(_GAP.search(line) for line in paragraph)


def literal_blocks(lines: list[str]) -> list[str]:
    """Marks each unindented paragraph's following indented block as literal."""
    out: list[str] = []
    last_text = ""
    for index, line in enumerate(lines):
        after_blank = index > 0 and not lines[index - 1].strip()
        starts_block = line.startswith("    ") and after_blank and _is_prose(last_text)
        if starts_block and not line.lstrip().startswith((">>>", ".. ", "- ", "* ")):
            out += ["::", ""]
        out.append(line)
        if line.strip():
            last_text = line
    return out


def _is_prose(line: str) -> bool:
    """Whether an indented block after ``line`` hangs on nothing (no section, list, directive)."""
    return bool(line) and not (
        line[0].isspace()
        or _SECTION.fullmatch(line.strip())
        or line.endswith("::")
        or line.startswith((".. ", "- ", "* ", ":", ">>>", "...", "===", "+-", "| "))
    )


def escape_symbols(line: str) -> str:
    """Escapes what would be markup outside inline literals; bullets and ``*args:`` stay."""
    start = len(line) - len(line.lstrip(" *|"))
    parts = _LITERAL.split(line[start:])
    parts[::2] = [_SYMBOL.sub(r"\\\g<0>", part) for part in parts[::2]]
    return line[:start] + "".join(parts)


def process(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    in_block = False
    result: list[str] = []
    for line in literal_blocks(indented_columns(lines)):
        if in_block and line.strip() and not line.startswith("    "):
            in_block = False
        quoted = in_block or line.lstrip().startswith((">>>", "..."))
        result.append(line if quoted else escape_symbols(line))
        in_block = in_block or line.endswith("::")
    lines[:] = result


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    return {"parallel_read_safe": True}
