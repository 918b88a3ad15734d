"""Export and import of spiking networks as Neuromorphic Intermediate Representation (NIR) graphs.

`export_to_nir` turns a network into a `nir.NIRGraph` and, if asked, a file; `import_from_nir` turns
either back into a network; `interpret` computes it without torch. `register_op` teaches both a new kind of node or module.
"""

from .errors import ExportError, NIRError, NIRFileError, NIRGraphError, NotSupportedError
from .export import export_to_nir
from .files import read_graph, write_graph
from .import_ import import_from_nir
from .imported import ImportedNet
from .interpreter import Outputs, interpret
from .ops import ImportOptions, Op, Site, register_op

__all__ = [
    "ExportError",
    "ImportOptions",
    "ImportedNet",
    "NIRError",
    "NIRFileError",
    "NIRGraphError",
    "NotSupportedError",
    "Op",
    "Outputs",
    "Site",
    "export_to_nir",
    "import_from_nir",
    "interpret",
    "read_graph",
    "register_op",
    "write_graph",
]

__version__ = "0.1.0"
