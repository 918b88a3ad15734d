"""Adds up JUnit files: ``python tools/junit.py reports`` prints one line of counts."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["summary"]


def summary(folder: Path) -> str:
    """Counts over ``folder/*.xml``; an error or an unreadable file counts as failed."""
    passed = failed = skipped = 0
    for path in sorted(folder.glob("*.xml")):
        try:
            suites = list(ElementTree.parse(path).getroot().iter("testsuite"))
        except ElementTree.ParseError:
            failed += 1
            continue
        for suite in suites:
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skips = int(suite.get("skipped", 0))
            failed += bad
            skipped += skips
            passed += int(suite.get("tests", 0)) - bad - skips
    return f"{passed} passed, {failed} failed, {skipped} skipped"


if __name__ == "__main__":
    print(summary(Path(sys.argv[1] if len(sys.argv) > 1 else "reports")))
