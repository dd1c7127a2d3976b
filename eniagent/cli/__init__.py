"""The command line: `main` is the console script, one thin file per command stands beside it.

Refuses to import anything before it must: `--version` answers before the commands and their libraries are read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from eniagent import __version__


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command and return its exit code. Without `argv` the process's own is taken, and the process ends here."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"]:
        from eniagent.cli.output import say

        code = say(f"eniagent {__version__}\n".encode())
    else:
        from eniagent.cli.run import run

        code = run(words, ends=argv is None)
    if argv is None:
        from eniagent.cli.output import leave

        leave(code)
    return code
