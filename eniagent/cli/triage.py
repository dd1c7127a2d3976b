"""`eniagent triage`: pasted text of any kind, and the verdict that it supports.

Refuses to look at this node: what was not pasted is not collected, and the answer says which look would decide.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import sys
from typing import Annotated, Optional

import typer

from eniagent.cli.diagnose import Answer, FailOn, Format, exit_code, tell
from eniagent.cli.exit_codes import UsageError
from eniagent.cli.output import check_target

LIMIT_BYTES = 64 << 20
"""More is no paste: logs of that size are read by `diagnose --from`."""


def triage(
    ctx: typer.Context,
    files: Annotated[Optional[list[str]], typer.Argument(metavar="[FILE...|-]", help="Pasted text, of any kind and mixed; - or none: standard input")] = None,
    format_: Annotated[Format, typer.Option("--format", help="Form of the answer")] = Format.TEXT,
    output: Annotated[Optional[str], typer.Option(metavar="FILE", help="Write the answer there; stdout gets its first line")] = None,
    fail_on: Annotated[Optional[FailOn], typer.Option("--fail-on", help="Exit 3 on critical; with warning also 4 on warning")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 5 when inconclusive, 8 when not applicable")] = False,
) -> int:
    """Name the cause that pasted logs, events, JSON or metrics show, or say which look would decide."""
    if output is not None and output != "-":
        check_target(output)
    texts = [(name if name != "-" else "stdin", _read(name)) for name in files or ["-"]]
    answer = _judge(texts)
    tell(answer.diagnosis, format_=format_, output=output)
    return exit_code(answer, fail_on=fail_on, strict=strict)


def _judge(texts: list[tuple[str, bytes]]) -> Answer:
    from eniagent.diagnose import diagnose as judge
    from eniagent.edge import clock
    from eniagent.model.snapshot import Case
    from eniagent.sources.pasted import read_pasted

    return Answer(diagnosis=judge(Case(now=read_pasted(texts, now=clock.now()))), cut_off=False)


def _read(name: str) -> bytes:
    """The bytes of one file, or of standard input. Raises `UsageError` on what cannot be read or is no paste."""
    try:
        if name == "-":
            data = sys.stdin.buffer.read(LIMIT_BYTES + 1) if sys.stdin is not None else b""
        else:
            with open(name, "rb") as file:
                data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}; name a readable file, or - for standard input") from error
    if len(data) > LIMIT_BYTES:
        raise UsageError(f"{name} is larger than {LIMIT_BYTES >> 20} MiB; put logs into a directory and use: eniagent diagnose --from DIRECTORY")
    return _opened(name, data)


def _opened(name: str, data: bytes) -> bytes:
    """Rotated logs come gzipped."""
    if data[:2] != b"\x1f\x8b":
        return data
    import zlib

    opener = zlib.decompressobj(wbits=31)
    try:
        text = opener.decompress(data, LIMIT_BYTES)
    except zlib.error as error:
        raise UsageError(f"{name} is no readable gzip file: {error}") from error
    if opener.unconsumed_tail:
        raise UsageError(f"{name} unpacks to more than {LIMIT_BYTES >> 20} MiB; use: eniagent diagnose --from DIRECTORY")
    return text
