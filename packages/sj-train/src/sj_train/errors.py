"""Errors that bad input raises; the command line prints any of them as one line, status 2."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ClassCountError",
    "DataError",
    "DataNotFoundError",
    "HookMissingError",
    "LaunchError",
    "MissingExtraError",
    "NonFiniteLossError",
    "OptionError",
    "OutputError",
    "RunExistsError",
    "TrainError",
    "UnknownOptimizerError",
]


class TrainError(Exception):
    """Base of all errors of this package."""


class OptionError(TrainError, ValueError):
    """An option has a value that cannot be used."""


class UnknownOptimizerError(OptionError, RuntimeError):
    """``--opt`` names no known optimizer."""


class DataError(TrainError, ValueError):
    """The data cannot be used as they are."""


class ClassCountError(DataError):
    """Labels and model outputs disagree about the number of classes."""


class DataNotFoundError(TrainError, FileNotFoundError):
    """A data folder or file is missing."""


class RunExistsError(TrainError, FileExistsError):
    """The output folder already holds a run."""


class OutputError(TrainError, OSError):
    """An output folder or file cannot be written."""


class CheckpointError(TrainError, RuntimeError):
    """A checkpoint is missing, unreadable, or belongs to something else."""


class LaunchError(TrainError, RuntimeError):
    """The processes of a launch do not find each other, or one of them is gone."""


class NonFiniteLossError(TrainError, FloatingPointError):
    """The training loss became NaN or infinite."""


class MissingExtraError(TrainError, ImportError):
    """An optional package is not installed."""


class HookMissingError(TrainError, NotImplementedError):
    """A method that a Trainer subclass must provide is missing."""
