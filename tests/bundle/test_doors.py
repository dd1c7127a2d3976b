"""Other collectors' archives: the same verdict from what they collect of a node, in each of their layouts, packed and unpacked."""

from __future__ import annotations

import io
import json
import os
import pathlib
import tarfile
from datetime import datetime, timezone
from typing import Any, Callable

import pytest

from eniagent.diagnose import diagnose
from eniagent.edge import archives_text
from eniagent.edge.archives import Door, open_path
from eniagent.edge.errors import CapturesError
from eniagent.model.host import Route
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import journal_entries, links, routing, sysctls
from eniagent.sources.journal_entries import Tally
from tests.cli.command import run

BUNDLES = pathlib.Path(__file__).resolve().parent.parent / "data" / "bundles"


def journal_text(data: bytes, program: str, *, precise: bool) -> bytes:
    """Lines as `journalctl -o short` (without a year) or `-o short-iso-precise` prints them."""
    lines = []
    for at_us, message, _ in journal_entries.entries([data], Tally(), file="x", now=datetime.now(timezone.utc)):
        at = datetime.fromtimestamp(at_us / 1e6, timezone.utc)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f+0000") if precise else at.strftime("%b %d %H:%M:%S")
        lines += [f"{stamp} ip-10-0-0-62 {program}[1234]: ".encode() + line for line in (message or b"").splitlines()]
    return b"\n".join([b"-- Logs begin at Mon 2025-01-06 --", *lines, b""])


def ip_rules(data: bytes) -> str:
    """`ip rule show` of what `ip -j rule show` told."""
    lines = []
    for rule in json.loads(data):
        src = rule.get("src", "all") + (f"/{rule['srclen']}" if "srclen" in rule else "")
        text = f"{rule.get('priority', 0)}:\t{'not ' if 'not' in rule else ''}from {src}"
        if "dst" in rule:
            text += f" to {rule['dst']}" + (f"/{rule['dstlen']}" if "dstlen" in rule else "")
        if "fwmark" in rule:
            text += f" fwmark {rule['fwmark']}" + (f"/{rule['fwmask']}" if "fwmask" in rule else "")
        if "iif" in rule:
            text += f" iif {rule['iif']}"
        lines.append(f"{text} lookup {rule.get('table', 'main')} ")
    return "\n".join([*lines, ""])


def ip_routes(data: bytes) -> str:
    """`ip route show table all` of what `ip -j` told."""
    lines = []
    for route in json.loads(data):
        text = f"{route['type']} {route['dst']}" if "type" in route and route["type"] != "unicast" else route["dst"]
        text += f" via {route['gateway']}" if "gateway" in route else ""
        text += f" dev {route['dev']}" if "dev" in route else ""
        text += f" table {route['table']}" if "table" in route else ""
        lines.append(f"{text} proto kernel metric 256 pref medium" if ":" in route["dst"] else f"{text} scope link")
    return "\n".join([*lines, ""])


def collected(look: pathlib.Path, *, precise: bool) -> dict[str, bytes]:
    """What both collectors keep of a node, under their names: theirs differ in the journal's form alone."""
    found: dict[str, bytes] = {}
    for file in ("enis", "ipamd-env-settings", "networkutils-env-settings", "eni-configs"):
        path = look / f"ipamd/{file}.json"
        found[f"ipamd/{file}.json"] = path.read_bytes() if path.exists() else b""
    found["ipamd/pods.json"] = b'{"/":["/v1/enis","/v1/eni-configs"]}'
    found["ipamd/metrics.json"] = (look / "ipamd/metrics.txt").read_bytes()
    found["ipamd/ipam.json"] = (look / "ipamd/checkpoint/ipam.json").read_bytes()
    for path in (look / "logs").iterdir():
        found[f"var_log/aws-routed-eni/{path.name}"] = path.read_bytes()
    for program, name in (("kubelet", "kubelet/kubelet.log"), ("containerd", "containerd/containerd-log.txt")):
        found[name] = journal_text((look / f"journal/{program}.jsonl").read_bytes(), program, precise=precise)
    found["networking/iprule.txt"] = ip_rules((look / "host/ip-rule.json").read_bytes()).encode()
    found["networking/iproute.txt"] = ip_routes((look / "host/ip-route.json").read_bytes()).encode()
    found["networking/iptables-save.txt"] = (look / "host/iptables-save.txt").read_bytes()
    found["sysctls/sysctl_all.txt"] = b"kernel.hostname = ip-10-0-0-62\n" + b"".join(
        f"{name.translate(str.maketrans('./', '/.'))} = {value}\n".encode() for name, value in json.loads((look / "host/sysctl.json").read_bytes()).items()
    )
    environment = json.loads((look / "ipamd/env.json").read_bytes())
    info = {"ID": "0123", "CreatedAt": "2026-11-25T13:00:00Z", "Spec": {"process": {"args": ["/app/aws-vpc-cni"], "env": [f"{k}={v}" for k, v in environment.items()] + ["AWS_SECRET_ACCESS_KEY=x"]}}}
    old = {"ID": "9", "CreatedAt": "2026-11-25T12:00:00Z", "Spec": {"process": {"env": ["WARM_IP_TARGET=77"]}}}
    found["cni/cni-configuration-variables-containerd.json"] = b"\n".join(json.dumps(one, indent=4).encode() for one in (info, old))
    found["kubelet/config.json"] = (look / "kubelet/config.json").read_bytes()
    found["kubelet/kubeconfig.yaml"] = b"users: [{user: {token: secret}}]\n"
    found["system/instance-id.txt"] = b"i-0fc1f7cd5bb2e35cb\n"
    found["system/region.txt"] = b"us-west-2\n"
    found["system/availability-zone.txt"] = b"us-west-2a\n"
    found["system/ps.txt"] = PS
    return found


PS = b"""\
USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
root           1  0.0  0.1 170000 12000 ?        Ss   13:00   0:02 /usr/lib/systemd/systemd --switched-root
root        1234  2.0  1.5 900000 90000 ?        Ssl  13:00   1:10 /usr/bin/kubelet --config=/etc/kubernetes/kubelet/config.json --hostname-override=ip-10-0-0-62 --max-pods=29
root        1300  1.0  1.0 800000 60000 ?        Ssl  13:00   0:50 /usr/bin/containerd
root        2000  0.1  0.5 100000 20000 ?        Sl   13:01   0:05  \\_ ./aws-vpc-cni
root        2010  0.5  0.9 700000 60000 ?        Sl   13:01   0:15  |   \\_ ./aws-k8s-agent
root        2999  0.0  0.0      0     0 ?        Z    13:05   0:00 [kube-proxy] <defunct>
"""


def newest(series: pathlib.Path) -> pathlib.Path:
    return sorted(path for path in series.iterdir() if path.is_dir())[-1]


def pack(files: dict[str, bytes], path: pathlib.Path, *, prefix: str, at: datetime) -> pathlib.Path:
    """A tar.gz whose members carry the time at which they were collected."""
    with tarfile.open(path, "w:gz") as archive:
        if prefix == "./":
            top = tarfile.TarInfo("./")
            top.type, top.mtime = tarfile.DIRTYPE, int(at.timestamp())
            archive.addfile(top)
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(data), int(at.timestamp())
            archive.addfile(info, io.BytesIO(data))
    return path


def taken_at(look: pathlib.Path) -> datetime:
    text: str = json.loads((look / "manifest.json").read_bytes())["taken_at"]
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


Make = Callable[[pathlib.Path, pathlib.Path], pathlib.Path]


def log_collector(look: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """eks-log-collector.sh: `tar --directory=... .`, journals without a year; the introspection appended twice."""
    files = collected(look, precise=False)
    files["ipamd/enis.json"] = b'{"0":{"TotalIPs":0,"AssignedIPs":0,"ENIs":{}}}' + files["ipamd/enis.json"]
    return pack(files, into / "eks_i-0fc1f7cd5bb2e35cb_2026-11-25_1411-UTC_0.7.9.tar.gz", prefix="./", at=taken_at(look))


def node_diagnostic(look: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """eks-node-monitoring-agent: names without a prefix, journals in short-iso-precise, both families of rules."""
    files = collected(look, precise=True)
    files["networking/ip6rule.txt"] = ip_rules((look / "host/ip6-rule.json").read_bytes()).encode()
    files["networking/ip6route.txt"] = ip_routes((look / "host/ip6-route.json").read_bytes()).encode()
    files["log-capture-errors.log"] = b"no errors\n"
    return pack(files, into / "node-diagnostic.tar.gz", prefix="", at=taken_at(look))


def unpacked(look: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """A collector's archive that somebody unpacked."""
    with tarfile.open(log_collector(look, into), "r:gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                path = into / "unpacked" / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
                stamp = taken_at(look).timestamp()
                os.utime(path, (stamp, stamp))
    return into / "unpacked"


@pytest.mark.parametrize("make", [log_collector, node_diagnostic, unpacked])
def test_a_collectors_archive_gives_the_verdict(make: Make, sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The cause that the node itself named, with every reading that the archive holds."""
    door = open_path(str(make(newest(sick), tmp_path)), since_s=3600.0)
    assert door.kind == "collector"
    case = door.case()
    told = diagnose(case)
    assert [cause.code for cause in told.causes][:1] == ["subnet-exhausted"]
    assert told.verdict.value == "critical"
    fields = ("ipam", "settings", "metrics", "environment", "checkpoint", "ipamd_log", "plugin_log", "kubelet", "containerd", "routing", "sysctls", "processes", "kubelet_config")
    assert {field for field in fields if not isinstance(getattr(case.now, field), Observed)} == set()
    assert told.node.instance_id == "i-0fc1f7cd5bb2e35cb"


@pytest.mark.parametrize("make", [log_collector, node_diagnostic])
def test_what_a_collector_turns_to_text_reads_the_same(make: Make, sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Rules, routes of IPv4, settings of the kernel, and ipamd's environment say what `ip -j` and /proc said."""
    look = newest(sick)
    theirs = open_path(str(make(look, tmp_path)), since_s=3600.0).case().now
    ours = open_path(str(sick), since_s=3600.0).case().now
    assert value(theirs.sysctls) == value(ours.sysctls)
    assert value(theirs.environment) == value(ours.environment)
    first = len(json.loads((look / "host/ip-rule.json").read_bytes()))
    assert value(theirs.routing).rules[:first] == value(ours.routing).rules[:first]
    assert four(value(theirs.routing).routes) == four(value(ours.routing).routes)
    assert value(theirs.ipam) == value(ours.ipam)
    assert value(theirs.checkpoint) == value(ours.checkpoint)


def four(routes: tuple[Route, ...]) -> list[Route]:
    """Those of IPv4: without an option, `ip route show table all` prints both families."""
    return [route for route in routes if all(told is None or told.version == 4 for told in (route.dst, route.gateway))]


def value(reading: Any) -> Any:
    assert isinstance(reading, Observed), reading
    return reading.value


def test_journals_of_a_collector_tell_the_same_pods(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Failures per pod are those of the JSON journal, whatever form the lines have."""
    ours = value(open_path(str(sick), since_s=3600.0).case().now.kubelet)
    for make in (log_collector, node_diagnostic):
        theirs = value(open_path(str(make(newest(sick), tmp_path)), since_s=3600.0).case().now.kubelet)
        assert {pod.pod: pod.failures for pod in theirs.pods} == {pod.pod: pod.failures for pod in ours.pods}


def test_a_switched_off_introspection_is_not_an_empty_node(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The collector leaves empty files then: nothing was collected, and nothing is healthy."""
    files = {name: b"" if name.startswith("ipamd/") and name != "ipamd/ipam.json" else data for name, data in collected(newest(sick), precise=True).items()}
    door = open_path(str(pack(files, tmp_path / "a.tar.gz", prefix="", at=taken_at(newest(sick)))), since_s=3600.0)
    now = door.case().now
    assert isinstance(now.ipam, Unobserved) and now.ipam.why is Why.NOT_COLLECTED
    assert diagnose(door.case()).verdict.value != "healthy"


def test_secrets_of_a_collectors_archive_are_not_taken_in(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Kubeconfigs, arguments of others and environments beyond ipamd's allowed names stay outside."""
    door: Door = open_path(str(log_collector(newest(sick), tmp_path)), since_s=3600.0)
    seen = door.series[0].seen
    assert not any("kubeconfig" in file for file in seen)
    assert b"SECRET" not in seen["ipamd/env.json"].body()
    assert set(json.loads(seen["host/processes.json"].body())["running"][0]) == {"name", "pid"}


def test_the_support_script_of_old_releases_is_read(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """aws-cni-support.sh up to v1.6 puts its answers beside the logs, under names of their own."""
    look = newest(sick)
    files = {f"var/log/aws-routed-eni/{path.name}": path.read_bytes() for path in (look / "logs").iterdir()}
    files["var/log/aws-routed-eni/eni.out"] = (look / "ipamd/enis.json").read_bytes()
    files["var/log/aws-routed-eni/metrics.out"] = (look / "ipamd/metrics.txt").read_bytes()
    files["var/log/aws-routed-eni/ipamd-env.out"] = (look / "ipamd/ipamd-env-settings.json").read_bytes()
    files = {name.partition("log/")[2]: data for name, data in files.items()}
    now = open_path(str(pack(files, tmp_path / "s.tar.gz", prefix="", at=taken_at(look))), since_s=3600.0).case().now
    assert isinstance(now.ipam, Observed) and isinstance(now.metrics, Observed) and isinstance(now.ipamd_log, Observed)


def test_a_series_of_captures_in_an_archive(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Recordings travel as archives: the last directory is *now*, the others are before."""
    path = tmp_path / "series.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(sick, arcname="node")
    packed, plain = open_path(str(path), since_s=3600.0), open_path(str(sick), since_s=3600.0)
    assert packed.case() == plain.case()
    assert len(packed.case().before) == 1


@pytest.mark.parametrize("path", sorted(BUNDLES.glob("*.tar.gz")), ids=lambda path: path.name)
def test_released_samples_stay_readable(path: pathlib.Path) -> None:
    """A bundle of each schema that was ever released opens, is sound, and gives the verdict that it told."""
    door = open_path(str(path), since_s=3600.0)
    assert door.kind == "bundle"
    told = diagnose(door.case())
    assert [cause.code for cause in told.causes][:1] == ["subnet-exhausted"]
    assert run("bundle", "verify", str(path)).returncode == 0


def test_there_is_a_sample_of_every_schema() -> None:
    """The test above is vacuous without them."""
    from eniagent.edge.archives import BUNDLES as known

    assert {int(path.name.split("schema-")[1].split(".")[0]) for path in BUNDLES.glob("*.tar.gz")} == set(known)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04zip"])
def test_what_is_no_archive_is_told(content: bytes, tmp_path: pathlib.Path) -> None:
    """With what could be given instead."""
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(CapturesError, match="no tar archive"):
        open_path(str(path), since_s=3600.0)
    with pytest.raises(CapturesError, match="no such file"):
        open_path(str(tmp_path / "none"), since_s=3600.0)


IFCONFIG = """\
eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 9001
        inet 10.0.0.62  netmask 255.255.255.0  broadcast 10.0.0.255
        inet6 fe80::1  prefixlen 64  scopeid 0x20<link>
        ether 02:AA:bb:cc:dd:ee  txqueuelen 1000  (Ethernet)
        RX packets 1  bytes 2 (2.0 B)

lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536
        inet 127.0.0.1  netmask 255.0.0.0
"""


def test_texts_of_other_tools_are_read() -> None:
    """ifconfig, rules with marks and interfaces, routes with next hops and types, dotted and slashed settings."""
    found = links.decode(archives_text.links(IFCONFIG) or b"")
    assert [(link.name, link.up, link.mtu, link.mac, len(link.addresses)) for link in found] == [("eth0", True, 9001, "02:aa:bb:cc:dd:ee", 2), ("lo", True, 65536, "", 1)]
    rules = routing.decode_rules(archives_text.rules("0:\tfrom all lookup local\n1024:\tfrom all fwmark 0x80/0x80 lookup main\n10:\tnot from all iif vlan.eth.1 lookup 101\n") or b"")
    assert [(rule.priority, rule.table, rule.fwmark, rule.iif, rule.inverted) for rule in rules] == [(0, "local", "", "", False), (1024, "main", "0x80/0x80", "", False), (10, "101", "", "vlan.eth.1", True)]
    routes = json.loads(archives_text.routes("default via 10.0.0.1 dev eth1 table 2\nunreachable 10.9.0.0/16\nlocal 10.0.0.62 dev eth0 table local\ndefault proto ra\n\tnexthop via 10.0.0.2 dev eth2 weight 1\n") or b"")
    assert [(route["dst"], route.get("gateway"), route.get("dev"), route.get("table"), route.get("type")) for route in routes] == [
        ("default", "10.0.0.1", "eth1", "2", None), ("10.9.0.0/16", None, None, None, "unreachable"), ("10.0.0.62", None, "eth0", "local", "local"),
        ("default", None, None, None, None), ("default", "10.0.0.2", "eth2", None, None),
    ]  # fmt: skip
    assert sysctls.decode(archives_text.sysctls("net.ipv4.conf.eth0/5.rp_filter = 2\nnet.ipv4.ip_forward = 1\nvm.x = 1\n") or b"") == {"net/ipv4/conf/eth0.5/rp_filter": "2", "net/ipv4/ip_forward": "1"}
    assert archives_text.kubelet_flags(PS.decode()) == b"/usr/bin/kubelet --config=/etc/kubernetes/kubelet/config.json --hostname-override=ip-10-0-0-62 --max-pods=29"
    assert [one["name"] for one in json.loads(archives_text.processes(PS.decode()) or b"")["running"]] == ["kubelet", "containerd", "aws-vpc-cni", "aws-k8s-agent"]
