"""How hard the node is pressed: the kernel's pressure stall information.

Refuses to guess where the kernel tells none: no pressure is known then, and nothing slows down.
Source: Linux, Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import re

LIMITS = {"cpu": 60.0, "memory": 10.0, "io": 60.0}
"""Share of the last 10 seconds, in percent, in which some task had to wait. A node at its limits of processor time is busy, one
that waits for memory a tenth of its time is sick."""

_SOME = re.compile(rb"^some avg10=([0-9.]+)", re.MULTILINE)


def pressure(*, proc: str = "/proc") -> float:
    """1.0 at the limit of what is pressed hardest, above it beyond; 0 where nothing is known."""
    worst = 0.0
    for name, limit in LIMITS.items():
        try:
            with open(f"{proc}/pressure/{name}", "rb", buffering=0) as file:
                found = _SOME.search(file.read(512))
        except OSError:
            continue
        if found is not None:
            worst = max(worst, float(found[1]) / limit)
    return worst
