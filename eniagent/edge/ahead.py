"""Reads ahead: a stream is made in a thread of its own while its reader works on what came before.

Refuses to run away: at most so many pieces wait, and a reader that leaves ends the thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

WAITING = 6


def ahead(pieces: Iterable[bytes], *, waiting: int = WAITING) -> Iterator[bytes]:
    """The same pieces. What the stream raises is raised here, after what came before it."""
    line: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=waiting)
    left = threading.Event()

    def put(item: tuple[bool, Any]) -> None:
        while not left.is_set():
            try:
                line.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def run() -> None:
        end: tuple[bool, Any] = (False, None)
        try:
            for piece in pieces:
                put((True, piece))
                if left.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the pieces are taken
            end = (False, error)
        put(end)

    thread = threading.Thread(target=run, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = line.get()
            if more:
                yield item
                continue
            if item is not None:
                raise item
            return
    finally:
        left.set()
        thread.join(2.0)
