"""``python -m sj_datasets`` is the command line ``sj-datasets``."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
