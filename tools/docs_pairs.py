"""Fails where a page exists in one language only: docs/en and docs/zh, README.md and its twin."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["missing_twins"]

ROOT = Path(__file__).resolve().parent.parent


def missing_twins(root: Path) -> list[str]:
    """Paths below ``root`` that should exist because their other-language twin does."""
    docs = root / "docs"
    pages = {
        tree: {path.relative_to(docs / tree) for path in (docs / tree).rglob("*.md")}
        for tree in ("en", "zh")
    }
    missing = [f"docs/zh/{page.as_posix()}" for page in sorted(pages["en"] - pages["zh"])]
    missing += [f"docs/en/{page.as_posix()}" for page in sorted(pages["zh"] - pages["en"])]
    readmes = ("README.md", "README.zh.md")
    missing += [name for name in readmes if not (root / name).is_file()]
    return missing


def main() -> int:
    missing = missing_twins(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
    for path in missing:
        print(f"docs_pairs: {path} is missing: write it, or remove its twin", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
