"""`eniagent explain [CODE]`: the runbook of a root cause; without a code, the list of all.

Refuses to look at the node: what it prints holds for any.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

from typing import Annotated, Optional

import typer

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.output import say


def explain(code: Annotated[Optional[str], typer.Argument(metavar="[CODE]", help="A code as a verdict names it")] = None) -> int:
    """Print what a code means, what proves and refutes it, and what to do; without CODE, list all."""
    from eniagent.edge import clock
    from eniagent.report import runbook
    from eniagent.rules import registry

    rules = {rule.code: rule for rule in registry()}
    if code is None:
        say(runbook.listing(list(rules.values())).encode("ascii"))
    elif code in rules:
        say(runbook.runbook(rules[code], now=clock.now()).encode("ascii"))
    elif code in runbook.WITHOUT_RULE:
        say(runbook.without_rule(code).encode("ascii"))
    else:
        raise UsageError(f"{code!r} is no code{_nearest(code, [*rules, *runbook.WITHOUT_RULE])}; for the list: eniagent explain")
    return Code.OK


def _nearest(code: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(code, known, n=1)
    return f", did you mean {near[0]}?" if near else ""
