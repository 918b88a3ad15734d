"""Export and import of spiking networks as Neuromorphic Intermediate Representation (NIR) graphs.

`export_to_nir` turns a network into a `nir.NIRGraph` and, if asked, a file; `import_from_nir` turns
either back into a network; `interpret` computes a graph with numpy alone, and `verify` compares a
network with it, node by node. `targets` holds a graph against the limits of chips and quantises
it. `register_op` teaches export and import a new kind of node or module.
"""

from . import modules, targets
from .drawing import to_svg
from .errors import ExportError, NIRError, NIRFileError, NIRGraphError, NotSupportedError
from .export import export_to_nir
from .files import read_graph, write_graph
from .import_ import import_from_nir
from .imported import ImportedNet
from .interpreter import Outputs, interpret
from .ops import ImportOptions, Op, Site, register_op
from .verify import Difference, Report, VerificationError, verify

__all__ = [
    "Difference",
    "ExportError",
    "ImportOptions",
    "ImportedNet",
    "NIRError",
    "NIRFileError",
    "NIRGraphError",
    "NotSupportedError",
    "Op",
    "Outputs",
    "Report",
    "Site",
    "VerificationError",
    "export_to_nir",
    "import_from_nir",
    "interpret",
    "modules",
    "read_graph",
    "register_op",
    "targets",
    "to_svg",
    "verify",
    "write_graph",
]

__version__ = "0.1.0"
