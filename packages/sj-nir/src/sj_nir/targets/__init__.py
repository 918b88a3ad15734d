"""Chips: what public documents say of them, and what quantisation does to a graph.

`check` lists what in a graph violates the limits of a target; every limit names the document that
states it, and what no document states is not checked. `quantise` rounds parameters to integers
times a step; `compare` says what that does to spikes and outputs.
"""

from . import rules
from .checking import check
from .comparison import Comparison, FieldError, OutputDifference, SpikeDifference, compare
from .families import get, names
from .quantisation import FIELDS, quantise
from .target import Finding, Limit, Rule, Target, report

__all__ = [
    "FIELDS",
    "Comparison",
    "FieldError",
    "Finding",
    "Limit",
    "OutputDifference",
    "Rule",
    "SpikeDifference",
    "Target",
    "check",
    "compare",
    "get",
    "names",
    "quantise",
    "report",
    "rules",
]
