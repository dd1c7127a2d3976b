"""Takes one probe of any kind: the table from what a source asks for to the code that looks.

Refuses to raise: whatever goes wrong becomes a capture that says why.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import Any, Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.edge.rooted import resolve
from eniagent.edge.settings import Settings, parse_url
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import (
    AskAws,
    HttpGet,
    Probe,
    ReadEnvironment,
    ReadFile,
    ReadFiles,
    ReadImds,
    ReadJournal,
    ReadLogs,
    ReadProcesses,
    ReadSysctls,
    RunCommand,
)
from eniagent.model.reading import Why
from eniagent.sources import Span

COMMANDS_AT_ONCE = 4
"""More children at once would be felt on a node of two cores."""

BIND = "INTROSPECTION_BIND_ADDRESS"
IPAMD = "aws-k8s-agent"
DEADLINE = "deadline"
"""The detail of what was still missing when the run had to end."""


def file_of(probe: Probe) -> str:
    """Where a probe's failure is told: its file, or for several files the one that stands for them."""
    if isinstance(probe, ReadLogs):
        return f"{probe.directory}/{os.path.basename(probe.path)}"
    if isinstance(probe, ReadFiles):
        return probe.directory if probe.names_only else f"{probe.directory}/{os.path.basename(probe.pattern)}"
    return probe.file


def missed(probe: Probe) -> Capture:
    """What stands for a probe that had not come back at the deadline."""
    told = f"{type(probe).__name__} {file_of(probe)}"
    return Capture(Circumstances(probe=told, file=file_of(probe), at=clock.now(), failure=Why.NOT_COLLECTED, detail=DEADLINE))


class Taker:
    """Takes probes for one run; safe to use from several threads."""

    def __init__(self, settings: Settings, span: Span, deadline: Deadline) -> None:
        self._settings, self._span, self._deadline = settings, span, deadline
        self._commands = threading.Semaphore(COMMANDS_AT_ONCE)
        self._aws: Optional[Any] = None
        self._aws_lock = threading.Lock()

    def take(self, probe: Probe) -> dict[str, Capture]:
        """Captures by file. Never raises."""
        try:
            return self._take(probe)
        except Exception as error:  # noqa: BLE001 - one look that fails must not cost the others
            why, detail = reason(error)
            told = f"{type(probe).__name__} {file_of(probe)}"
            return {file_of(probe): Capture(Circumstances(probe=told, file=file_of(probe), at=clock.now(), failure=why, detail=detail))}

    def _take(self, probe: Probe) -> dict[str, Capture]:
        if isinstance(probe, HttpGet):
            return {probe.file: self._get(probe)}
        if isinstance(probe, ReadImds):
            from eniagent.edge.imds import read_imds

            return {probe.file: read_imds(probe, base_url=self._settings.imds_url, deadline=self._deadline)}
        if isinstance(probe, RunCommand):
            from eniagent.edge.commands import run_command

            with self._commands:
                return {probe.file: run_command(probe, deadline=self._deadline)}
        if isinstance(probe, (ReadProcesses, ReadEnvironment)):
            from eniagent.edge import processes

            if isinstance(probe, ReadProcesses):
                return processes.read_processes(probe, root=self._settings.root)
            return {probe.file: processes.read_environment(probe, root=self._settings.root)}
        if isinstance(probe, ReadJournal):
            return {probe.file: self._journal(probe)}
        if isinstance(probe, AskAws):
            return {probe.file: self._ask(probe)}
        return self._take_file(probe)

    def _take_file(self, probe: Probe) -> dict[str, Capture]:
        from eniagent.edge import files, logs

        root = self._settings.root
        if isinstance(probe, ReadFile):
            return {probe.file: files.read_file(probe, root=root)}
        if isinstance(probe, ReadFiles):
            return files.read_files(probe, root=root)
        if isinstance(probe, ReadSysctls):
            return {probe.file: files.read_sysctls(probe, root=root)}
        assert isinstance(probe, ReadLogs)
        needles = logs.POOL_ACTION_NEEDLES if os.path.basename(probe.path) == "ipamd.log" else ()
        return logs.capture_logs(probe, root=root, since=self._since(), deadline=self._deadline, needles=needles)

    def _ask(self, probe: AskAws) -> Capture:
        """One operation of the AWS API; all of a run share one session."""
        from eniagent.edge.aws import Aws

        with self._aws_lock:
            self._aws = self._aws or Aws(self._settings, self._span)
        found: Capture = self._aws.ask(probe, deadline=self._deadline)
        return found

    def _since(self) -> Optional[datetime]:
        return self._span.since

    def _journal(self, probe: ReadJournal) -> Capture:
        from eniagent.edge.journal import capture_journal

        directory = self._settings.journal_dir or journal_below(self._settings.root)
        return capture_journal(probe, span=self._span, journal_dir=directory, deadline=self._deadline)

    def _get(self, probe: HttpGet) -> Capture:
        """One GET; where nobody listens at ipamd's default address, the address that its own environment names is tried."""
        from eniagent.edge.http import get

        if probe.service == "metrics":
            return get(probe, base_url=self._settings.metrics_url, deadline=self._deadline)
        capture = get(probe, base_url=self._settings.ipamd_url, deadline=self._deadline)
        if capture.about.failure is Why.REFUSED and self._settings.origin("ipamd_url") == "default":
            elsewhere = self._bound_to()
            if elsewhere and elsewhere != self._settings.ipamd_url:
                return get(probe, base_url=elsewhere, deadline=self._deadline)
        return capture

    def _bound_to(self) -> str:
        """The base URL that ipamd's process was told to bind, "" where none can be seen."""
        from eniagent.edge.processes import read_environment

        root = self._settings.root
        told = read_environment(ReadEnvironment(file="", process=IPAMD, allowed=(BIND,)), root=root)
        if told.about.failure is not None:
            return ""
        import msgspec

        address = msgspec.json.decode(told.body(), type=dict[str, str]).get(BIND, "")
        try:
            url = parse_url(address)
        except ValueError:
            return ""
        return f"unix:{resolve(url[5:], root=root)}" if url.startswith("unix:") else url


def journal_below(root: str) -> Optional[str]:
    """The journal directory of a host that is mounted elsewhere; None leaves the choice to journalctl."""
    if root == "/":
        return None
    places = [resolve(place, root=root) for place in ("/var/log/journal", "/run/log/journal")]
    filled = [place for place in places if os.path.isdir(place) and os.listdir(place)]
    return filled[0] if filled else places[0]
