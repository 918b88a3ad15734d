"""An argument parser whose errors are one line, as all errors of the commands here."""

from __future__ import annotations

import argparse
from typing import NoReturn

__all__ = ["OneLineParser"]


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong without the usage: that of seventy options would hide the reason."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (-h lists the options)\n")
