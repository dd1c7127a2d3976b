"""Recorded nodes for bundles: one sick, one healthy, and the sick one served on loopback."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from eniagent.demo import recording
from eniagent.demo.replay import Stage, stage
from tests.recorded import unpack


@pytest.fixture(scope="session")
def sick(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A series of captures of a node whose subnet is full."""
    return unpack(recording.find("subnet-exhausted").recording, tmp_path_factory.mktemp("sick"))


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A series of captures of a healthy node."""
    return unpack(recording.find("healthy-busy").recording, tmp_path_factory.mktemp("healthy"))


@pytest.fixture
def staged() -> Iterator[Stage]:
    """The sick node served on loopback."""
    with ExitStack() as until:
        yield stage(recording.find("subnet-exhausted"), until=until)
