"""``python -m sz_models`` is the command ``sz-models``."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
