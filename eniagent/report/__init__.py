"""From a Diagnosis to text, JSON, Markdown and HTML.

Refuses to judge: nothing here adds to, drops from or weighs a diagnosis. Pure: a diagnosis in, characters out.
"""

from __future__ import annotations

from eniagent.model.finding import Diagnosis

FORMATS = ("text", "json", "markdown", "html")
"""The words of `--format`."""


def render(diagnosis: Diagnosis, *, format_name: str, colour: bool = False) -> bytes:
    """The whole document in one of `FORMATS`, ending in a newline. Raises `KeyError` on any other word."""
    if format_name == "json":
        from eniagent.report.json_ import render as as_json

        return as_json(diagnosis)
    if format_name == "markdown":
        from eniagent.report.markdown import render as as_markdown

        return as_markdown(diagnosis).encode("ascii")
    if format_name == "html":
        from eniagent.report.html import render as as_html

        return as_html(diagnosis).encode("ascii")
    if format_name == "text":
        from eniagent.report.text import render as as_text

        return as_text(diagnosis, colour=colour).encode("ascii")
    raise KeyError(format_name)
