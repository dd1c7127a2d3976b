"""Nodes for the commands to look at: one recorded node served on loopback, and its captures on disk."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from eniagent.demo import recording
from eniagent.demo.replay import Stage, stage
from tests.cli.command import PATH
from tests.recorded import unpack


@pytest.fixture(scope="session")
def staged() -> Iterator[Stage]:
    """The node whose subnet is full, served on loopback."""
    with ExitStack() as until:
        yield stage(recording.find("subnet-exhausted"), until=until)


@pytest.fixture(scope="session")
def environment(staged: Stage) -> dict[str, str]:
    """The environment of the staged node: a PATH on which its own commands come first, and nothing else."""
    return {"PATH": f"{staged.directory / 'bin'}:{PATH}"}


@pytest.fixture(scope="session")
def sick(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Captures of a node whose subnet is full."""
    return unpack(recording.find("subnet-exhausted").recording, tmp_path_factory.mktemp("sick"))


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Captures of a healthy node."""
    return unpack(recording.find("healthy-busy").recording, tmp_path_factory.mktemp("healthy"))


@pytest.fixture
def unknown(tmp_path: pathlib.Path) -> pathlib.Path:
    """Captures of which next to nothing is there: no verdict can stand on them."""
    (tmp_path / "unknown/host").mkdir(parents=True)
    (tmp_path / "unknown/host/uptime.json").write_text("{}", encoding="ascii")
    return tmp_path / "unknown"
