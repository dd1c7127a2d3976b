"""Restraint: the agent lowers itself at start, so that a sick node does not get sicker. Children inherit all of it.

Refuses to fail: what could not be lowered is returned, and the run goes on.
"""

from __future__ import annotations

import os
from typing import Callable

OOM_SCORE_ADJ = 500
NICE = 10


def lower_self(*, proc: str = "/proc") -> tuple[str, ...]:
    """Set oom_score_adj 500, nice 10 and the idle I/O class. Returns what failed, in words; empty when all held.

    On Linux nice and the I/O class belong to the calling thread and pass to threads made later: call it first.
    The score is written whatever was inherited, because the SSM agent hands its own -999 to its children.
    """
    failed = []
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("oom_score_adj", lambda: _lower_oom(proc)),
        ("nice", _lower_nice),
        ("I/O class", _lower_io),
    )
    for name, lower in steps:
        try:
            lower()
        except Exception as error:  # noqa: BLE001 - psutil's own errors are no OSError, and none may end the run
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return tuple(failed)


def _lower_oom(proc: str) -> None:
    # Unbuffered, so that a refusal is raised here and not when the file is closed.
    with open(f"{proc}/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(str(OOM_SCORE_ADJ).encode())


def _lower_nice() -> None:
    if os.getpriority(os.PRIO_PROCESS, 0) < NICE:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


def _lower_io() -> None:
    import psutil

    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
