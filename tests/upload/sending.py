"""Sends in the test's own process, with pauses that a test can afford."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from eniagent.edge import settings, upload, upload_target
from eniagent.edge.clock import Deadline
from eniagent.edge.upload import Receipt, Wanted
from eniagent.edge.upload_errors import UploadFailed
from eniagent.edge.upload_file import Outgoing
from eniagent.edge.upload_retry import Pause

QUICK = Pause(first_s=0.02, most_s=0.05, attempts=5)


class Said(list[tuple[str, dict[str, Any]]]):
    """Log events that were told."""

    def __call__(self, name: str, **data: Any) -> None:
        self.append((name, data))


def send(path: pathlib.Path, address: str, *, deadline_s: float = 30.0, said: Any = None, pause: Pause = QUICK, **wanted: Any) -> Receipt:
    """Upload a file; raises what the upload raises."""
    with Outgoing(str(path)) as outgoing:
        target = upload_target.parse(address, name=outgoing.name)
        way = Wanted(pause=pause, **wanted)
        upload.check(target, way)
        told = said if said is not None else Said()
        return upload.upload(outgoing, target, wanted=way, settings=settings.load({}, os.environ, None), deadline=Deadline(deadline_s), tell=told)


def fails(path: pathlib.Path, address: str, **more: Any) -> UploadFailed:
    """Upload a file, which must fail; returns how."""
    try:
        receipt = send(path, address, **more)
    except UploadFailed as failed:
        return failed
    raise AssertionError(f"it was delivered: {receipt}")
