"""What the commands of all recipes share: fake data, and errors as one line."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, MissingExtraError, OptionError, TrainError
from ..logs import console_logging

__all__ = [
    "add_fake_data",
    "check_at_least",
    "data_errors",
    "default_device",
    "fake_folder",
    "model_errors",
    "parse_with_fake",
    "run_command",
    "usable_device",
]


def add_fake_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fake-data",
        action="store_true",
        help="run on a small synthetic copy of the data, with small defaults: under a minute on "
        "a CPU, nothing is downloaded, and the scores say nothing about the real data",
    )


def parse_with_fake(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, small: Mapping[str, Any]
) -> argparse.Namespace:
    """Parse ``argv``; with ``--fake-data`` the defaults are those of ``small``."""
    words = sys.argv[1:] if argv is None else list(argv)
    args = parser.parse_args(words)
    if args.fake_data:  # also where it is abbreviated, or stands in the file of --config
        parser.set_defaults(**small)
        args = parser.parse_args(words)
    return args


def default_device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def usable_device(name: str, flag: str = "-device") -> torch.device:
    """The device called ``name``.

    Raises:
        OptionError: no such device on this machine.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"argument {flag}: {name} is not available on this machine; use {flag} cpu"
        ) from error
    return device


def check_at_least(args: argparse.Namespace, dashes: str, **lowest: float) -> None:
    """Refuse options below their lowest value; ``dashes`` is how they are written."""
    for name, low in lowest.items():
        value = getattr(args, name)
        if not value >= low:
            raise OptionError(
                f"argument {dashes}{name.replace('_', '-')}: must be at least {low}, got {value}"
            )


_HOW_TO_GET = (
    "get the data ('sj-datasets list' shows where from, 'sj-datasets prepare NAME ROOT' fetches "
    "many of them)"
)


@contextmanager
def data_errors(how_to_get: str = _HOW_TO_GET) -> Iterator[None]:
    """What a data set has to say about its files becomes a :class:`DataError`.

    Args:
        how_to_get: advice where files are missing.
    """
    with warnings.catch_warnings():
        # Whoever asks for fake data knows it.
        warnings.filterwarnings("ignore", message=".*synthetic copy.*")
        try:
            yield
        except TrainError:
            raise
        except ImportError as error:
            raise MissingExtraError(str(error)) from error
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            raise DataError(_in_words_of_the_command(error, how_to_get)) from error


@contextmanager
def model_errors() -> Iterator[None]:
    """What a model or backend has to say about its arguments becomes an :class:`OptionError`."""
    try:
        yield
    except TrainError:
        raise
    except ImportError as error:
        raise MissingExtraError(str(error)) from error
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        raise OptionError(_text(error)) from error


def run_command(name: str, run: Callable[[], object]) -> None:
    """Run with messages on standard output; bad input ends the program with status 2.

    Args:
        name: of the recipe, as the error line shows it.
    """
    with console_logging():
        try:
            run()
        except TrainError as error:
            print(f"{name}: error: {_text(error)}", file=sys.stderr)
            raise SystemExit(2) from None


def fake_folder(output: str | Path, dataset: str) -> Path:
    """Where a recipe keeps its synthetic copy of a data set."""
    return Path(output) / "fake_data" / dataset


def _in_words_of_the_command(error: BaseException, how_to_get: str) -> str:
    """What the data sets advise as arguments in Python, as options of a recipe."""
    if isinstance(error, FileExistsError):
        advice = "; choose another folder, or leave --fake-data out to use what is there"
    else:
        advice = f"; {how_to_get}, or try --fake-data"
    return re.sub(r";[^;]*\bfake=True\b.*", lambda _: advice, _text(error))


def _text(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
