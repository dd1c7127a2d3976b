"""Looks at the process table: which processes of interest run, since when, and the allowed part of one's environment.

Refuses to read the command line of any process but kubelet, and any variable that is not on the probe's list.
"""

from __future__ import annotations

import os
from typing import Any, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.errors import reason
from eniagent.edge.files import failed
from eniagent.edge.rooted import read_up_to, resolve
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import ReadEnvironment, ReadProcesses
from eniagent.model.reading import Why

KUBELET_CMDLINE = "kubelet/cmdline.txt"
COMM_BYTES = 15
"""The kernel cuts a process's name to this."""


def _proc(root: str) -> str:
    return resolve("/proc", root=root)


def _named(names: tuple[str, ...], *, proc: str) -> list[tuple[str, int]]:
    """Name and pid of every process that bears one of the names, lowest pid first.

    Read straight from `comm`: psutil opens several files for each of a node's thousands of processes.
    """
    wanted = {name.encode()[:COMM_BYTES]: name for name in names}
    found = []
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/comm", "rb", buffering=0) as file:
                    name = wanted.get(file.read(64).rstrip(b"\n"))
            except OSError:
                continue  # It ended since the directory was listed.
            if name is not None:
                found.append((name, int(entry)))
    return sorted(found, key=lambda pair: pair[1])


def _psutil(proc: str) -> Any:
    import psutil

    psutil.PROCFS_PATH = proc
    return psutil


def _living(pid: int, *, proc: str) -> Optional[Any]:
    """psutil's process, None where it ended; a zombie has ended, too: it serves nobody."""
    psutil = _psutil(proc)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def read_processes(probe: ReadProcesses, *, root: str) -> dict[str, Capture]:
    """`{"booted_at": iso, "running": [{"name", "pid", "started_at"}]}`, and kubelet's command line where kubelet is asked for."""
    proc, at = _proc(root), clock.now()
    try:
        running = []
        for name, pid in _named(probe.names, proc=proc):
            process = _living(pid, proc=proc)
            if process is not None:
                running.append({"name": name, "pid": pid, "started_at": clock.from_epoch(process.create_time())})
        booted_at = clock.from_epoch(_psutil(proc).boot_time())
    except OSError as error:
        why, detail = reason(error)
        return {probe.file: failed("read processes", file=probe.file, why=why, detail=f"{proc}: {detail}")}
    body = msgspec.json.encode({"booted_at": booted_at, "running": running})
    about = Circumstances(probe="read processes", file=probe.file, at=at, size_bytes=len(body))
    found = {probe.file: Capture(about, body)}
    if "kubelet" in probe.names:
        pids = [entry["pid"] for entry in running if entry["name"] == "kubelet"]
        found[KUBELET_CMDLINE] = _kubelet_cmdline(pids, proc=proc)
    return found


def _kubelet_cmdline(pids: list[Any], *, proc: str) -> Capture:
    """Arguments as the newest kubelet was started with them, each ended by a NUL, because one may hold blanks."""
    told = "cmdline kubelet"
    if not pids:
        return failed(told, file=KUBELET_CMDLINE, why=Why.NOT_INSTALLED, detail="no process kubelet")
    try:
        descriptor = os.open(f"{proc}/{pids[-1]}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = read_up_to(descriptor, limit_bytes=1 << 20)
        finally:
            os.close(descriptor)
    except OSError as error:
        why, detail = reason(error)
        return failed(told, file=KUBELET_CMDLINE, why=why, detail=detail)
    about = Circumstances(probe=told, file=KUBELET_CMDLINE, at=clock.now(), size_bytes=len(data))
    return Capture(about, data)


def read_environment(probe: ReadEnvironment, *, root: str) -> Capture:
    """Allowed variables of the newest process of that name, as a JSON object. No such process: not installed."""
    proc, told, at = _proc(root), f"environ {probe.process}", clock.now()
    psutil = _psutil(proc)
    refused = ""
    try:
        for _, pid in reversed(_named((probe.process,), proc=proc)):
            process = _living(pid, proc=proc)
            if process is None:
                continue
            try:
                values = process.environ()
            except psutil.AccessDenied:
                refused = f"the environment of process {pid} needs root or CAP_SYS_PTRACE"
            except psutil.NoSuchProcess:
                continue
            else:
                body = msgspec.json.encode({name: values[name] for name in probe.allowed if name in values})
                return Capture(Circumstances(probe=told, file=probe.file, at=at, size_bytes=len(body)), body)
    except OSError as error:
        why, detail = reason(error)
        return failed(told, file=probe.file, why=why, detail=f"{proc}: {detail}")
    if refused:
        return failed(told, file=probe.file, why=Why.FORBIDDEN, detail=refused)
    return failed(told, file=probe.file, why=Why.NOT_INSTALLED, detail=f"no process {probe.process}")
