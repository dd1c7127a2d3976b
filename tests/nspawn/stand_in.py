"""Inside the machine: ipamd, IMDS, kubelet and containerd as a recording has them, state after state, and the kernel objects to it.

Refuses to run outside: it makes links, rules and routes, and takes the ports and addresses of a node.
Commands, one a line, come from a FIFO: `state NAME`, `fault SERVICE PATH FAULT`, `clear`, `stop SERVICE`, `start SERVICE`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from datetime import datetime, timezone
from typing import Any, Optional

from eniagent.demo.shift import Shift
from tests.fakes.imds import FakeImds
from tests.fakes.ipamd import FakeIpamd, bodies_of
from tests.fakes.server import Reply, Request

HOME = pathlib.Path("/opt/stand-in")
RUN = pathlib.Path("/run/stand-in")
IMDS = "169.254.169.254"
LOG = pathlib.Path("/var/log/aws-routed-eni")
COPIES = {"ipamd/checkpoint/ipam.json": "/run/aws-node/ipam.json", "kubelet/config.json": "/etc/kubernetes/kubelet/config.json"}
STATES = {"well": "00-before", "sick": "00-before", "recovered": "01-now"}
"""`well`: every address is in use, and nobody has asked for another one yet."""
FAILS = ("andbox", "no available", "failed", "Insufficient", "error")


class ManyTokens(FakeImds):
    """Every token that was given stays good, as on EC2: the daemon and a bundle in the making ask at the same time."""

    def _token(self, request: Request) -> Reply:
        self.tokens = 0
        return super()._token(request)


class Node:
    """The services and the state they are in."""

    def __init__(self) -> None:
        self.imds: Optional[ManyTokens] = ManyTokens({}, host=IMDS, port=80)
        self.ipamd: Optional[FakeIpamd] = FakeIpamd({}, port=61679)
        self.metrics: Optional[FakeIpamd] = FakeIpamd({}, port=61678)
        self.told: set[str] = set()
        LOG.mkdir(parents=True, exist_ok=True)

    def enter(self, name: str) -> None:
        """Serve a state; its journal and log are told from where the last state's ended."""
        directory = HOME / "recording" / STATES[name]
        shift = Shift(datetime.fromisoformat(json.loads((directory / "manifest.json").read_text())["taken_at"].replace("Z", "+00:00")), datetime.now(timezone.utc))
        bodies = {str(p.relative_to(directory)): shift.apply(p.read_bytes()) for p in directory.rglob("*") if p.is_file()}
        served = bodies_of({file: body for file, body in bodies.items() if file.startswith("ipamd/") and "checkpoint" not in file})
        for service in (self.ipamd, self.metrics):
            if service is not None:
                service.bodies = dict(served)
        if self.imds is not None:
            self.imds.tree = json.loads(bodies["imds/tree.json"])
        lay_kernel(bodies)
        for file, place in COPIES.items():
            write(place, bodies[file], mode=0o600)
        for log in ("ipamd", "plugin"):
            self.tell_log(log, (directory / f"logs/{log}.log").read_bytes(), shift, well=name == "well")
        for program in ("kubelet", "containerd"):
            self.tell_journal(program, bodies.get(f"journal/{program}.jsonl", b""), well=name == "well")

    def tell_log(self, name: str, data: bytes, shift: Shift, *, well: bool) -> None:
        """Lines of a log that were not told yet, as root alone may read them."""
        lines = [line for line in data.splitlines() if line.decode() not in self.told and not (well and any(word in line.decode() for word in FAILS))]
        self.told.update(line.decode() for line in lines)
        with open(os.open(LOG / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
            out.write(shift.apply(b"".join(line + b"\n" for line in lines)))

    def tell_journal(self, program: str, data: bytes, *, well: bool) -> None:
        """Messages through the program's own stdout, so that journald gives them its unit. klog's stamp is now's."""
        fresh = []
        for line in data.decode().splitlines():
            entry: dict[str, Any] = json.loads(line)
            message = str(entry["MESSAGE"])
            if entry["__CURSOR"] not in self.told and not (well and any(word in message for word in FAILS)):
                fresh.append(message)
            if not well:
                self.told.add(entry["__CURSOR"])
        say(program, [*fresh, *([f"I{datetime.now(timezone.utc):%m%d %H:%M:%S.%f}    1893 kubelet.go:2421] \"SyncLoop UPDATE\" source=\"api\" pods=[\"default/quiet\"]"] if well else [])])

    def obey(self, words: list[str]) -> None:
        """One command."""
        if words[0] == "state":
            self.enter(words[1])
        elif words[0] == "fault":
            service = getattr(self, words[1])
            service.faults[words[2]] = words[3]
        elif words[0] == "clear":
            for service in (self.imds, self.ipamd, self.metrics):
                if service is not None:
                    service.faults.clear()
            if self.imds is not None:
                self.imds.token_status = self.imds.key_status = 200
        elif words[0] == "imds":
            assert self.imds is not None
            self.imds.token_status = self.imds.key_status = int(words[1])
        elif words[0] == "shape":
            assert self.ipamd is not None
            self.ipamd.bodies["/v1/enis"] = (HOME / words[1]).read_bytes()
        elif words[0] == "say":
            say(words[1], [" ".join(words[2:])])
        else:
            raise ValueError(words[0])


def say(program: str, messages: list[str]) -> None:
    """Lines for one of the programs to print."""
    if messages:
        with open(RUN / f"{program}.fifo", "w", encoding="utf-8") as out:
            out.write("".join(f"{message}\n" for message in messages))


def write(place: str, data: bytes, *, mode: int) -> None:
    """A file of root's."""
    path = pathlib.Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(data)
    beside.chmod(mode)
    beside.rename(path)


def lay_kernel(bodies: dict[str, bytes]) -> None:
    """Links, rules and routes as recorded; what is there already stays."""
    batch = []
    have = {link["ifname"] for link in json.loads(subprocess.run(["ip", "-j", "link"], check=True, stdout=subprocess.PIPE).stdout)}
    links = [link for link in json.loads(bodies["host/ip-addr.json"]) if link.get("ifname", "lo") != "lo"]
    for number, link in enumerate(links):
        name = link["ifname"]
        if name not in have:
            batch += [f"link add {name} address {link['address']} type veth peer name p{number}x{os.urandom(2).hex()}", f"link set {name} up"]
        batch += [f"addr replace {a['local']}/{a['prefixlen']} dev {name}" for a in link.get("addr_info", ()) if a["family"] == "inet"]
    for rule in json.loads(bodies["host/ip-rule.json"]):
        if rule["priority"] not in (0, 32766, 32767):
            sides = f"from {rule.get('src', 'all')}" + (f" to {rule['dst']}" if "dst" in rule else "")
            batch += [f"rule del {sides} priority {rule['priority']} table {rule['table']}", f"rule add {sides} priority {rule['priority']} table {rule['table']}"]
    for route in json.loads(bodies["host/ip-route.json"]):
        if route.get("type") is None and route.get("table") != "local" and ":" not in route["dst"] and route.get("pref") is None:
            via = f" via {route['gateway']} onlink" if "gateway" in route else ""
            batch.append(f"route replace {route['dst']}{via} dev {route['dev']} table {route.get('table', 'main')}")
    subprocess.run(["ip", "-force", "-batch", "-"], input="".join(f"{line}\n" for line in batch), text=True, check=False, stderr=subprocess.DEVNULL)


def main() -> None:
    """Serve until killed."""
    subprocess.run(["ip", "address", "replace", f"{IMDS}/32", "dev", "lo"], check=True)
    RUN.mkdir(exist_ok=True)
    fifo = RUN / "commands"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    node = Node()
    node.enter("well")
    (RUN / "ready").touch()
    while True:
        with open(fifo, encoding="utf-8") as commands:
            for line in commands:
                try:
                    node.obey(line.split())
                except Exception as error:  # noqa: BLE001 - told, and the test sees that what it asked for did not happen
                    print(f"{line.strip()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                (RUN / "done").write_text(line, encoding="utf-8")
                time.sleep(0.01)


if __name__ == "__main__":
    main()
