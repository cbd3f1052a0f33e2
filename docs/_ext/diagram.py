"""``{diagram} FILE.svg`` puts a drawing into the page itself, so that it takes the page's colours, light or dark."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Diagram(SphinxDirective):
    """A drawing; the content is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        drawing = nodes.raw("", Path(path).read_text(encoding="utf-8"), format="html")
        figure = nodes.container("", drawing, classes=["diagram"])
        if self.content:
            caption = nodes.container("", classes=["caption"])
            self.state.nested_parse(self.content, self.content_offset, caption)
            figure += caption
        return [figure]


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("diagram", Diagram)
    return {"parallel_read_safe": True}
