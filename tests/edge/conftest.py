"""What tests of the edge share: the world as somebody without rights sees it, and the bytes that were read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NOBODY = 65534


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Root's rights are laid down for a while; whoever is not root stays who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def bytes_read() -> int:
    """Bytes that this process has read from anything, as the kernel counts them."""
    with open("/proc/self/io", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("rchar:")))
