"""Failures as kubelet and containerd write them, for tests that follow a journal: who failed is known to the test.

Refuses to know how they are read.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

from bench import journal_lines
from bench.journal_files import klog

TEXTS = (journal_lines.ADDRESS, journal_lines.RANGE, journal_lines.REFUSED)


class Told(NamedTuple):
    """One line to be written."""

    identifier: str
    message: bytes


class Cluster:
    """Pods that fail. The same seed gives the same pods and sandboxes. `nameless`: some lines name no sandbox (old kubelets)."""

    def __init__(self, *, pods: int, seed: int = 1, nameless: bool = False) -> None:
        self._rng = random.Random(seed)
        self.pods = journal_lines.some_pods(self._rng, pods, "job")
        self._kinds: tuple[Callable[[journal_lines.Attempt], list[journal_lines.Line]], ...] = (journal_lines.structured_cri_client, journal_lines.structured_plugin, journal_lines.containerd_text)
        self._kinds += (journal_lines.docker_text, journal_lines.setup_network) if nameless else ()

    def attempt(self, *, at_us: int = 0) -> tuple[str, str, list[Told]]:
        """Pod, sandbox and lines of one failed attempt."""
        tried = journal_lines.attempt(self._rng, self.pods, TEXTS)
        lines = self._rng.choice(self._kinds)(tried)
        at_us = at_us or int(time.time() * 1e6)
        return f"{tried.namespace}/{tried.name}", tried.sandbox, [Told(line.program, klog(at_us, line, pid=711)) for line in lines]

    def noise(self) -> Told:
        """A healthy line of kubelet."""
        line = journal_lines.kubelet_noise(self._rng, self.pods)
        return Told(line.program, klog(int(time.time() * 1e6), line, pid=711))
