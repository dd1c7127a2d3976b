"""One machine for all tests of this room that only look; those that break something boot their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nspawn import install, node
from tests.nspawn.machine import Machine, booted

FAST = "poll_s = 1\nimds_poll_s = 2\n"
QUICK = "[Service]\nWatchdogSec=6\nRestartSec=1\n"
"""A service whose minutes are seconds."""


def fresh() -> Iterator[Machine]:
    """A machine with a node in it and the agent installed, not started."""

    def prepare(root: object) -> None:
        node.lay_out(root)  # type: ignore[arg-type]
        install.install(root)  # type: ignore[arg-type]

    with booted(prepare) as machine:
        node.settle(machine)
        node.rights_for_people(machine)
        machine.write("/etc/eniagent/config.toml", FAST)
        machine.write("/etc/systemd/system/eniagent.service.d/quick.conf", QUICK)
        machine.run("systemctl", "daemon-reload")
        yield machine


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine of the module's own."""
    yield from fresh()
