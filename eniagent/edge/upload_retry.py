"""Another attempt, after a pause that grows and is drawn at random, as long as the deadline and the kind of failure allow one.

Refuses to repeat what cannot succeed: a signature that is wrong stays wrong. (tenacity would bring the same dozen lines, but also a
dependency on every node: the pause must heed Retry-After, and none is begun that would end after the deadline.)
"""

from __future__ import annotations

import random
from typing import Callable, TypeVar

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.upload_errors import UploadFailed

T = TypeVar("T")

Tell = Callable[..., None]
"""Takes a log event: its name, and data as keywords."""


class Pause(msgspec.Struct, frozen=True):
    """Full jitter: between 0 and `first_s` after the first failure, twice that after the next, never more than `most_s`."""

    first_s: float = 1.0
    most_s: float = 30.0
    attempts: int = 8

    def draw_s(self, failures: int) -> float:
        """The pause after so many failures."""
        return random.uniform(0.0, min(self.most_s, self.first_s * 2.0 ** (failures - 1)))


def repeat(once: Callable[[int], T], *, deadline: Deadline, pause: Pause, tell: Tell) -> T:
    """What `once(number of the attempt)` returns. Raises the last `UploadFailed`, with the count of attempts."""
    number = 1
    while True:
        try:
            return once(number)
        except UploadFailed as failed:
            failed.attempts = number
            wait_s = max(pause.draw_s(number), failed.wait_s)
            if not failed.again or number >= pause.attempts or wait_s >= deadline.remaining_s:
                raise
            tell("upload_retried", reason=failed.kind, detail=failed.told, attempt=number, wait_s=round(wait_s, 2))
        clock.wait(wait_s)
        number += 1
