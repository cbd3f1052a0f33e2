"""The documentation's site: Sphinx, furo and myst-nb. ``sh docs/build`` makes it."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import pypod  # noqa: E402

project = "pypod"
author = "the authors of pypod"
version = release = pypod.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "command_line", "python_api", "diagram"]
exclude_patterns = ["README.md", "_*", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"

smartquotes = False
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"pypod {release}"
html_static_path = ["_static"]
html_css_files = ["pypod.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def without_notebooks(_app: Sphinx, page: str, source: list[str]) -> None:
    """Say so where there are no notebooks: a list that matches nothing is a warning."""
    if page == "notebooks/index" and not any((HERE / "notebooks").glob("*.ipynb")):
        source[0] = "# Notebooks\n\nThere are none yet.\n"


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("source-read", without_notebooks)
    app.connect("env-get-outdated", lambda *_: ["notebooks/index"])  # one may have come
