"""Probe: one look that a source asks the edge to take. Data only; the edge knows how to take it.

`file` names where the answer stands in a captures directory, and is the key under which `read` finds it.
"""

from __future__ import annotations

from typing import Optional, Union

import msgspec


class HttpGet(msgspec.Struct, frozen=True, tag=True):
    """GET on ipamd's introspection or metrics port. `service` picks the configured base URL."""

    file: str
    service: str  # "introspection" | "metrics"
    path: str
    limit_bytes: int = 32 << 20
    timeout_s: float = 5.0


class ReadImds(msgspec.Struct, frozen=True, tag=True):
    """IMDSv2 keys below `latest/`, all on one connection. The answer is the contract's `imds/tree.json`."""

    file: str
    timeout_s: float = 8.0


class ReadFile(msgspec.Struct, frozen=True, tag=True):
    """One file of the host, below the configured root. `tail_bytes` keeps only the end."""

    file: str
    path: str
    limit_bytes: int = 8 << 20
    tail_bytes: Optional[int] = None


class ReadFiles(msgspec.Struct, frozen=True, tag=True):
    """All files that match a glob; each becomes `directory/<name>`. `names_only` lists without reading."""

    directory: str
    pattern: str
    limit_bytes: int = 8 << 20
    names_only: bool = False


class ReadLogs(msgspec.Struct, frozen=True, tag=True):
    """A log and its rotations, oldest first, read from the window's start to the end; each becomes `logs/<name>`."""

    directory: str
    path: str
    pattern: str


class RunCommand(msgspec.Struct, frozen=True, tag=True):
    """A read-only command; stdout is the answer. Candidates are tried in order until one is installed."""

    file: str
    argvs: tuple[tuple[str, ...], ...]
    timeout_s: float = 5.0
    limit_bytes: int = 32 << 20


class ReadJournal(msgspec.Struct, frozen=True, tag=True):
    """Entries of some units or identifiers in the window, as `journalctl -o json` prints them."""

    file: str
    units: tuple[str, ...]
    identifiers: tuple[str, ...]
    grep: str  # PCRE2 that keeps every line a reader could use; "" keeps all


class ReadProcesses(msgspec.Struct, frozen=True, tag=True):
    """The processes named, with start time, and of `environ_of` the allow-listed environment."""

    file: str
    names: tuple[str, ...]


class ReadEnvironment(msgspec.Struct, frozen=True, tag=True):
    """Allow-listed variables of one process, by the process's name."""

    file: str
    process: str
    allowed: tuple[str, ...]


class ReadSysctls(msgspec.Struct, frozen=True, tag=True):
    """Values below /proc/sys that match the globs."""

    file: str
    patterns: tuple[str, ...]


class AskAws(msgspec.Struct, frozen=True, tag=True):
    """One read-only operation of the AWS API. `requests` are JSON objects, one call each; the answers become one JSON array.

    `in_window`: each request gets StartTime and EndTime of the run's window.
    """

    file: str
    service: str  # "ec2" | "cloudtrail"
    operation: str
    region: str
    requests: tuple[str, ...]
    in_window: bool = False
    timeout_s: float = 8.0


Probe = Union[
    HttpGet, ReadImds, ReadFile, ReadFiles, ReadLogs, RunCommand, ReadJournal, ReadProcesses, ReadEnvironment, ReadSysctls, AskAws
]
