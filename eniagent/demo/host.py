"""The recorded node's files, process table and commands, laid out below a private root.

Refuses to invent what decides: only what no recording holds and every node has (the CNI's own configuration file and
plugin names) is filled in, as a stock installation leaves it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
from typing import Any

from eniagent.demo.recording import Look

COPIES = {
    "logs/ipamd.log": "var/log/aws-routed-eni/ipamd.log",
    "logs/plugin.log": "var/log/aws-routed-eni/plugin.log",
    "ipamd/checkpoint/ipam.json": "run/aws-node/ipam.json",
    "kubelet/config.json": "etc/kubernetes/kubelet/config.json",
}
"""Captured file -> the place on the node that it was read from."""

STOCK_PLUGINS = ("aws-cni", "egress-cni", "loopback")
STOCK_CONFLIST = {
    "cniVersion": "0.4.0",
    "name": "aws-cni",
    "disableCheck": True,
    "plugins": [
        {"name": "aws-cni", "type": "aws-cni", "vethPrefix": "eni", "mtu": "9001"},
        {"name": "egress-cni", "type": "egress-cni", "mtu": "9001", "enabled": "false"},
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
    ],
}

IP_OBJECTS = {
    "addr": "host/ip-addr.json",
    "link": "host/ip-link.json",
    "rule": "host/ip-rule.json",
    "route": "host/ip-route.json",
    "6rule": "host/ip6-rule.json",
    "6route": "host/ip6-route.json",
}
UNRECORDED_COMMANDS = ("crictl", "ctr")

AGENT_PID = 1977
_START = re.compile(rb"^process_start_time_seconds (\S+)", re.MULTILINE)


def lay_out(look: Look, root: pathlib.Path) -> None:
    """Everything that a look reads below `--root`."""
    for file, place in COPIES.items():
        if file in look.told and "failure" not in look.told[file]:
            _write(root / place, look.body(file))
    (root / "var").mkdir(exist_ok=True)
    (root / "var/run").symlink_to("../run")
    _write(root / "etc/cni/net.d/10-aws.conflist", json.dumps(STOCK_CONFLIST).encode())
    for plugin in (*STOCK_PLUGINS, "portmap"):
        _write(root / "opt/cni/bin" / plugin, b"", mode=0o755)
    for name, value in json.loads(look.body("host/sysctl.json") or b"{}").items():
        _write(root / "proc/sys" / name, f"{value}\n".encode())
    _lay_out_processes(look, root / "proc")


def _write(path: pathlib.Path, data: bytes, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _lay_out_processes(look: Look, proc: pathlib.Path) -> None:
    """The processes that the recording shows alive: those that wrote a journal, and ipamd where it served its metrics."""
    booted_s, alive = _journal_processes(look)
    _write(proc / "stat", f"cpu  0 0 0 0 0 0 0 0 0 0\nbtime {booted_s}\n".encode())
    started = _START.search(look.body("ipamd/metrics.txt"))
    for name, pid in alive.items():
        _write_process(proc / str(pid), name=name, pid=pid, ticks=0)
    if started:
        ticks = max(0, int((float(started[1]) - booted_s) * os.sysconf("SC_CLK_TCK")))
        _write_process(proc / str(AGENT_PID), name="aws-k8s-agent", pid=AGENT_PID, ticks=ticks)
        values = json.loads(look.body("ipamd/env.json") or b"{}")
        _write(proc / str(AGENT_PID) / "environ", "".join(f"{k}={v}\0" for k, v in values.items()).encode())


def _journal_processes(look: Look) -> tuple[int, dict[str, int]]:
    """When the node booted, in whole seconds by the journal's two clocks, and name -> pid of the programs that wrote it."""
    booted_s = int(look.taken_at.timestamp()) - 3600
    alive: dict[str, int] = {}
    for program in ("kubelet", "containerd"):
        line = look.body(f"journal/{program}.jsonl").rpartition(b"\n")[0].rpartition(b"\n")[2]
        if line:
            entry: dict[str, Any] = json.loads(line)
            booted_s = (int(entry["__REALTIME_TIMESTAMP"]) - int(entry["__MONOTONIC_TIMESTAMP"])) // 10**6
            alive[program] = int(entry["_PID"])
    return booted_s, alive


def _write_process(directory: pathlib.Path, *, name: str, pid: int, ticks: int) -> None:
    """What the process table says of one process; `ticks` is its start, counted from boot (proc(5), stat, field 22)."""
    fields = [str(pid), f"({name[:15]})", "S", *["0"] * 18, str(ticks), *["0"] * 30]
    _write(directory / "comm", f"{name[:15]}\n".encode())
    _write(directory / "stat", (" ".join(fields) + "\n").encode())
    _write(directory / "status", f"Name:\t{name[:15]}\nState:\tS (sleeping)\nPid:\t{pid}\nUid:\t0\t0\t0\t0\n".encode())
    _write(directory / "cmdline", b"")
    _write(directory / "environ", b"")


def lay_out_commands(look: Look, directory: pathlib.Path) -> None:
    """Programs that answer as the node's would, to stand in front of this machine's own on PATH."""
    cases = "\n".join(
        f"{name}) file={shlex.quote(str(look.directory / file))} ;;" for name, file in IP_OBJECTS.items() if (look.directory / file).exists()
    )
    script = f"""#!/bin/sh
# Stands in for ip(8) in a replay: prints what the recorded node's own ip printed.
family= object= file=
for word; do
    case $word in
        -6) family=6 ;;
        -*) ;;
        a|addr|address) object=addr; break ;;
        l|link) object=link; break ;;
        rule|ru) object=rule; break ;;
        r|route) object=route; break ;;
        *) break ;;
    esac
done
case $family$object in
{cases}
esac
if [ -z "$file" ]; then echo "ip $*: not part of the recording" >&2; exit 1; fi
exec cat "$file"
"""
    _write(directory / "ip", script.encode(), mode=0o755)
    for name in UNRECORDED_COMMANDS:
        _write(directory / name, f"#!/bin/sh\necho '{name}: not part of the recording' >&2\nexit 1\n".encode(), mode=0o755)
