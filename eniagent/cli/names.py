"""Names on the command line.

Refuses what names nothing: a typing error is told before the node is looked at.
"""

from __future__ import annotations

from typing import Optional

from eniagent.cli.exit_codes import UsageError


def pod_name(text: Optional[str]) -> str:
    """`namespace/name` as it was given, "" where none was. Raises `UsageError` on anything else."""
    if text is None:
        return ""
    namespace, slash, name = text.partition("/")
    if not slash or not namespace or not name or "/" in name or any(c.isspace() for c in text):
        raise UsageError(f"--pod {text!r} is no pod; give NAMESPACE/NAME, as default/web-0")
    return text
