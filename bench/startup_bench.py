"""How fast eniagent.pyz starts beside an installed eniagent: whole processes, taken in turn, from the second run on.

Refuses a machine's mood: the two are paired run by run, and the medians are compared.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.packaging.conftest import Built, install

ROUNDS = 25
WORDS: dict[str, tuple[str, ...]] = {"version": ("--version",), "explain": ("explain",), "diagnose": ("diagnose", "--from")}


class Paired(NamedTuple):
    """Median seconds of the two, and their ratio."""

    pyz_s: float
    installed_s: float

    @property
    def ratio(self) -> float:
        """How much longer the one file takes."""
        return self.pyz_s / self.installed_s


def took_s(words: Sequence[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={"PATH": os.defpath})
    return time.perf_counter() - started


def paired(pyz: Sequence[str], installed: Sequence[str], *, rounds: int = ROUNDS) -> Paired:
    """Medians of runs taken in turn, after one of each that is not counted."""
    took_s(pyz)
    took_s(installed)
    pairs = [(took_s(pyz), took_s(installed)) for _ in range(rounds)]
    return Paired(statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs))


@pytest.mark.bench
@pytest.mark.packages
@pytest.mark.parametrize("command", WORDS)
def test_starts_as_fast_as_an_installed_one(built: Built, sick: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, command: str) -> None:
    """From the second run on, the one file takes at most 1.3 times as long as the same release installed with pip."""
    installed = install(built, tmp_path_factory.getbasetemp() / "installed")
    words = [*WORDS[command], *([str(sick)] if command == "diagnose" else [])]
    got = paired([str(built.pyz), *words], [str(installed), *words])
    print(f"\n{command}: pyz {got.pyz_s * 1000:.1f} ms, installed {got.installed_s * 1000:.1f} ms, ratio {got.ratio:.2f}")
    assert got.ratio <= 1.3
