"""A replay: one recorded node on loopback, and the real `eniagent diagnose` run against it as a child process.

Refuses to print a verdict of its own: what stdout shows is what the child said, byte by byte.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import NamedTuple

from eniagent.demo import host, journal, servers
from eniagent.demo.recording import Look, Scenario, unpack

RUN = "import sys; from eniagent.cli import main; sys.exit(main(sys.argv[1:]))"


class Stage(NamedTuple):
    """A node in replay: what was recorded, where it is served, and how its journal is read."""

    look: Look
    urls: servers.Urls
    directory: pathlib.Path
    journal: str

    def options(self) -> list[str]:
        """eniagent's global options that point at the replay."""
        return [
            *("--root", str(self.directory / "root")),
            *("--ipamd-url", self.urls.ipamd),
            *("--metrics-url", self.urls.metrics),
            *("--imds-url", self.urls.imds),
            *("--journal-dir", str(self.directory / "journal")),
        ]

    def environment(self) -> dict[str, str]:
        """The environment for a run: this process's own, without settings of eniagent's, the node's commands first on PATH."""
        ours = ("ENIAGENT_", "INTROSPECTION_", "AWS_EC2_METADATA_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        kept["PATH"] = f"{self.directory / 'bin'}:{kept.get('PATH', '/usr/bin:/bin')}"
        kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        return kept


def stage(scenario: Scenario, *, until: ExitStack) -> Stage:
    """Lays the node out below a private directory and serves it; all of it goes when `until` closes."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="eniagent-demo-"))
    until.callback(shutil.rmtree, directory, ignore_errors=True)
    return stage_look(unpack(scenario, directory / "captures", now=datetime.now(timezone.utc)), directory, until=until)


def stage_look(look: Look, directory: pathlib.Path, *, until: ExitStack) -> Stage:
    """Serves one captures directory as a node, from files below `directory`."""
    host.lay_out(look, directory / "root")
    host.lay_out_commands(look, directory / "bin")
    how = journal.lay_out(look, directory / "journal", directory / "bin")
    return Stage(look, servers.serve(look, until=until), directory, how)


def diagnose(staged: Stage, options: Sequence[str] = ()) -> int:
    """Runs `eniagent diagnose` against the stage with this process's stdout and stderr. Returns its exit code."""
    sys.stdout.flush()
    words = [sys.executable, "-c", RUN, *staged.options(), "diagnose", *options]
    child = subprocess.Popen(words, env=staged.environment(), stdin=subprocess.DEVNULL)
    try:
        return child.wait()
    except BaseException:
        # Ctrl-C reaches the child by itself; a SIGTERM to us alone does not.
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
