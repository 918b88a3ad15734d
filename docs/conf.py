"""Sphinx settings: `nox -s docs` builds both language trees and the API pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

project = "sj"
author = "the contributors"
language = "en"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "api_pages",
    "neuron_pages",
    "layer_pages",
    "layer_pictures",
    "model_pages",
    "nir_pages",
    "speed_pages",
    "docstrings",
]
exclude_patterns = ["_build", "_data", "_ext", "examples"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

default_role = "code"
smartquotes = False  # g'(x) is a derivative

html_theme = "furo"
html_title = "Spiking networks and spike cameras"
html_static_path = []

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# short names in docstrings, like :class:`LIFNode`, may mean one of several pages
suppress_warnings = ["ref.python"]


def own_branch(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Unfolds the side bar as far as the page; all of it on 400 pages is most of the work."""
    if toctree := context.get("toctree"):
        context["toctree"] = lambda **options: toctree(**{**options, "collapse": True})


def setup(app: Sphinx) -> None:
    app.add_lexer("mermaid", TextLexer)  # GitHub draws these blocks; here they stay text
    app.connect("html-page-context", own_branch, priority=400)  # before the theme's, 500
