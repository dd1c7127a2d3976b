"""The daemon's state as a file in its run directory, for `eniagent status`: written after each cycle, whole or not at all.

Refuses to be a second history: it holds the last cycle and nothing before it.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from typing import Optional

import msgspec

FILE = "status.json"
SCHEMA = "eniagent.status/1"


class Standing(msgspec.Struct, frozen=True):
    """One incident that is not resolved."""

    cause: str
    subject: str
    state: str
    severity: str
    opened_at: datetime
    summary: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the last cycle came to. `unobserved`: source -> why. `refused`: why the newest configuration is not in force."""

    schema: str = SCHEMA
    version: str
    pid: int
    started_at: datetime
    cycle: int
    cycle_at: datetime
    next_at: datetime
    cycle_s: float
    verdict: str
    headline: str
    causes: tuple[str, ...] = ()
    waiting: int = 0
    incidents: tuple[Standing, ...] = ()
    unobserved: dict[str, str] = {}
    journal_lag_s: float = 0.0
    history: str = "ok"
    failed_cycles: int = 0
    slowed: float = 1.0
    capture: str = ""
    refused: tuple[str, ...] = ()


def write_status(status: Status, directory: str) -> None:
    """Raises `OSError`."""
    path = f"{directory}/{FILE}"
    beside = f"{path}.part"
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "wb") as file:
            file.write(msgspec.json.encode(status) + b"\n")
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def read_status(directory: str) -> Optional[Status]:
    """What the last cycle left; None where there is nothing that can be read."""
    try:
        with open(f"{directory}/{FILE}", "rb") as file:
            return msgspec.json.decode(file.read(1 << 20), type=Status)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def remove_status(directory: str) -> None:
    """The daemon ends: what it knew is for the history to tell."""
    with contextlib.suppress(OSError):
        os.unlink(f"{directory}/{FILE}")
