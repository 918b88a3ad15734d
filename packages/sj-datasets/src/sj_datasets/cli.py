"""Command line: ``sj-datasets list | info | convert | download | verify | prepare``.

Errors are one line on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .errors import ManualDownloadError

if TYPE_CHECKING:
    from .download import ResourceSet

__all__ = ["main"]

_INTERRUPTED = 130
_CLOSED_PIPE = 141


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("once")
        warnings.showwarning = _show_warning
        try:
            status = arguments.run(arguments)
            sys.stdout.flush()
            return status
        except BrokenPipeError:  # the reader, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _CLOSED_PIPE
        except ManualDownloadError as error:
            first, _, steps = str(error).partition("\n")
            print(steps)
            return _failed(f"{first.rstrip(':')}; how is printed above")
        except KeyError as error:
            return _failed(str(error.args[0]))
        except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
            return _failed(str(error))
        except KeyboardInterrupt:
            _failed("interrupted; run it again to go on")
            return _INTERRUPTED


def _failed(message: str) -> int:
    # The message may span lines: every address that was tried, or a library's text.
    print(f"sj-datasets: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"sj-datasets: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sj-datasets",
        description="Event-camera and spike-camera data: files and datasets.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sj-datasets {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_list(commands)
    _add_info(commands)
    _add_convert(commands)
    _add_download(commands)
    _add_verify(commands)
    _add_prepare(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[_Parser], name: str, text: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text, allow_abbrev=False)


def _add_list(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(commands, "list", "list the datasets")
    command.set_defaults(run=_list)


def _list(_: argparse.Namespace) -> int:
    from .download import dataset_names
    from .registry import DATASETS

    names = [*DATASETS, *(name for name in dataset_names() if name not in DATASETS)]
    width = max(map(len, names))
    for name in names:
        published = _published(name)
        how = "downloads itself" if published.downloadable else "by hand"
        print(f"{name:{width}}  {how:16}  {published.page}")
    return 0


def _published(name: str) -> ResourceSet:
    """Files of a dataset, or of a repacked copy such as ``DVS128Gesture-npy``."""
    from .download import dataset_names, resources
    from .registry import dataset_class

    return resources(name if name in dataset_names() else dataset_class(name).dataset_name())


def _add_info(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(commands, "info", "describe an event recording")
    command.set_defaults(run=_info)
    command.add_argument("file", metavar="FILE", help="the recording")
    _add_format(command, "--format", "format of FILE")


def _add_format(command: argparse.ArgumentParser, option: str, text: str) -> None:
    from .formats.table import FORMATS

    command.add_argument(
        option,
        choices=sorted(FORMATS),
        metavar="FORMAT",
        dest=option.strip("-") + "_format",
        help=f"{text}, found by itself if left out: {', '.join(sorted(FORMATS))}",
    )


def _info(arguments: argparse.Namespace) -> int:
    from .formats.table import describe

    found = describe(arguments.file, arguments.format_format)
    for key, value in found.items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{key:12} {line}")
    return 0


def _add_convert(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(commands, "convert", "write an event recording in another format")
    command.set_defaults(run=_convert)
    command.add_argument("input", metavar="IN", help="recording to read")
    command.add_argument("output", metavar="OUT", help="file to write; its suffix tells the format")
    _add_format(command, "--from", "format of IN")
    _add_format(command, "--to", "format of OUT")


def _convert(arguments: argparse.Namespace) -> int:
    from .formats.table import read_events, write_events

    events = read_events(arguments.input, arguments.from_format)
    write_events(arguments.output, events, arguments.to_format)
    print(f"{arguments.output}: {events.count} events")
    return 0


def _add_dataset(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="the dataset; see sj-datasets list")
    command.add_argument("root", metavar="ROOT", help="folder of the dataset")


def _add_quiet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_download(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(
        commands,
        "download",
        "fetch the published files into ROOT/download; SJ_DATASETS_MIRROR helps",
    )
    command.set_defaults(run=_download)
    _add_dataset(command)
    _add_quiet(command)


def _download(arguments: argparse.Namespace) -> int:
    from .download import fetch_all

    published = _published(arguments.name)
    folder = _real_root(arguments.root) / "download"
    folder.mkdir(parents=True, exist_ok=True)
    # The user has asked: direct addresses serve where they are known.
    for path in fetch_all(published, folder, progress=not arguments.quiet, direct=True):
        print(path)
    return 0


def _real_root(root: str) -> Path:
    from .fake import MARKER

    path = Path(root)
    if (path / MARKER).exists():
        raise FileExistsError(f"{path} holds a synthetic copy; choose another folder")
    return path


def _add_verify(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(
        commands, "verify", "check the published files in ROOT; exit status 1 if one is bad"
    )
    command.set_defaults(run=_verify)
    _add_dataset(command)


def _verify(arguments: argparse.Namespace) -> int:
    from .download import verify

    published = _published(arguments.name)
    root = _real_root(arguments.root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    # data sets of images and sounds keep their files elsewhere, as other libraries do
    places = (root / "download", root, root / "raw", root / arguments.name / "raw")
    names = [file.name for file in published.files]
    found = (place for place in places if any((place / name).exists() for name in names))
    states = verify(published, next(found, places[0]), reread=True)
    required = {file.name for file in published.files if file.required}
    for name, state in states.items():
        print(f"{state:9} {name}{'' if name in required else ' (not required)'}")
    bad = (
        state == "corrupt" or (state == "missing" and name in required)
        for name, state in states.items()
    )
    return int(any(bad))


def _add_prepare(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add_command(
        commands, "prepare", "download, extract and convert a dataset, and integrate its frames"
    )
    command.set_defaults(run=_prepare)
    _add_dataset(command)
    command.add_argument("--fake", action="store_true", help="a small synthetic copy in ROOT")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--frames-number", type=int, metavar="T", help="T frames per sample")
    kind.add_argument("--duration", type=int, metavar="US", help="frames of this length")
    command.add_argument(
        "--split-by", choices=("number", "time"), help="what --frames-number divides equally"
    )
    split = command.add_mutually_exclusive_group()
    split.add_argument("--split", metavar="NAME", help="one split alone; all if left out")
    for name in ("train", "test"):
        split.add_argument(
            f"--{name}", action="store_const", const=name, dest="split", help=f"--split {name}"
        )
    command.add_argument("--workers", type=int, metavar="N", help="processes; default: one per CPU")
    _add_quiet(command)


def _prepare(arguments: argparse.Namespace) -> int:
    from .fake import prepare
    from .registry import dataset_class

    dataset = dataset_class(arguments.name)
    given = _split_argument(dataset, arguments.name, arguments.split)
    if arguments.split_by is not None and arguments.frames_number is None:
        raise ValueError("--split-by says how --frames-number divides; give that too")
    for name in ("frames_number", "duration", "split_by", "workers"):
        if (value := getattr(arguments, name)) is not None:
            given[name] = value
    if arguments.frames_number is not None or arguments.duration is not None:
        given["data_type"] = "frame"
    if "options" in inspect.signature(dataset).parameters and arguments.quiet:
        given["progress"] = False
    for ready in prepare(dataset, arguments.root, fake=arguments.fake, **given):
        print(f"{getattr(ready, 'root', arguments.root)}: {len(ready)} samples")
    return 0


def _split_argument(dataset: type[Any], name: str, split: str | None) -> dict[str, Any]:
    """The constructor argument that chooses a split."""
    if split is None:
        return {}
    choices = {
        {True: "train", False: "test"}.get(value, value): {key: value}
        for choice in dataset.split_arguments()
        for key, value in choice.items()
    }
    if split not in choices:
        known = f"the splits {', '.join(map(str, choices))}" if choices else "no splits"
        raise ValueError(f"{name} has {known}, not {split!r}")
    return choices[split]
