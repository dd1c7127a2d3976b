"""One pasted line: whose it is, when, how loud, and the message itself, frame by frame (syslog, klog, logrus, zap, seelog).

Refuses to name a program that neither the frame nor the wording names.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional

from eniagent.sources.frames import parse_frame, parse_stamp
from eniagent.sources.pasted_lines import Line, is_failure

STRANGER = "stranger"
"""The program of a line whose frame names a source file of nobody we know."""


class Said(NamedTuple):
    """`program`: ipamd, plugin, kubelet, containerd, aws-node, npa, cilium, other, stranger or "". `pod`: where the frame names one."""

    program: str
    at: Optional[datetime]
    level: str
    text: str
    ref: str
    pod: str = ""


_MONTHS = {m: i for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}
_SYSLOG = re.compile(
    r"^(?:(?P<mon>[A-Z][a-z]{2})\s+(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?"
    r"|(?:[A-Z][a-z]{2} )?(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| UTC|[+-]\d\d:?\d\d)?)"
    r"|\d{0,2}\s?(?P<late>\d\d:\d\d:\d\d))"
    r" (?P<host>[\w.-]+) (?P<ident>[\w@./-]+?)(?:\[(?P<pid>\d+)\]:|:| (?P<pid5424>\d+) - -)\s+(?P<rest>.*)$",
    re.DOTALL,
)
_BARE_IDENT = re.compile(r"^(?P<ident>kubelet|containerd|dockerd|aws-node|kernel|crio)(?:\[\d+\])?: (?P<rest>.*)$", re.DOTALL)
_KLOG = re.compile(
    r"(?:^|\s|: )(?:(?P<level>[IWEF])(?P<month>\d\d)(?P<day>\d\d) )?(?P<clock>\d\d:\d\d:\d\d\.\d{3,6})\s+\d+ (?P<file>[\w.-]+\.go):\d+\] (?P<rest>.*)$",
    re.DOTALL,
)
_KLOG_TAIL = re.compile(r"^(?P<file>[\w.-]+\.go):\d+\] (?P<rest>.*)$", re.DOTALL)
_LOGRUS = re.compile(r"(?:^|\s)(?:time=\"?(?P<time>[\w:.+-]+)\"? )?level=(?P<level>\w+) (?:source=\S+ )?msg=(?P<rest>.*)$", re.DOTALL)
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
_CALLER = re.compile(r"\"caller\":\s*\"([^\"]*)\"")
_LOGGER = re.compile(r"\"logger\":\s*\"([^\"]*)\"")
_IPAMD_CALLER = re.compile(
    r"^(?:ipamd|awsutils|datastore|aws-k8s-agent|rpc|networkutils|retry|eniconfig|k8sapi|wait|eventrecorder|awssession|logger|ec2wrapper"
    r"|aws-utils|cninswrapper|imds|vpc|sgpp|utils|iptables\w*|maps|runtime/(?:asm|proc))\b"
)
_PLUGIN_CALLER = re.compile(r"^(?:routed-eni-cni-plugin|driver|egress-cni|egress-v4-cni-plugin|snat|cni|cniutils)\b")
_PLUGIN_WORDS = re.compile(
    r"^(?:Starting CNI Plugin|Received CNI (?:add|del)|Failed CNI request|Failed to assign an IP address to (?:pod|container)"
    r"|Error received from (?:Add|Del)Network|Failed SetupPodNetwork|Received (?:add|del) network response|Failed to setup (?:default )?network policy)"
)
_METRICS_HELPER = re.compile(r"CNIMetricsHelper|cni-metrics|publisher: |Collecting metrics|aws-node pod count|Produce metrics")
_NPA_LOGGER = re.compile(r"^(?:rpc-handler|ebpf-client|setup|controllers?\.[Pp]olicyEndpoint\w*|firewall|linux-ebpf|conntrack)")
_NPA_WORDS = re.compile(r"eBPF|Network [Pp]olicy|network policy agent|leader election runnables|policyendpoint|Not found any interface starting with prefixes")
_IDENTS = (
    ("kubelet", "kubelet"), ("containerd", "containerd"), ("dockerd", "containerd"), ("crio", "containerd"), ("kernel", "kernel"), ("aws-node", "aws-node"),
)
_OTHER_CNI = re.compile(r"\b(?:felix|calico[-/]\w+|bird6?:|confd\[|weave(?:r|-npc)?[: ]|flanneld?[: ]|kube-router|antrea-agent|cilium-agent)\b|ipalloc", re.IGNORECASE)
# python's logging, with process and pod: Calico's first plugin.
_PYTHON_CNI = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ \[[\w.-]+/[\w.-]+\] ")
_CLIENT_GO = re.compile(r"^(?:reflector|memcache|client_config|request|warnings|leaderelection|round_trippers|transport|shared_informer|cached_discovery)\.go$")
_OURS = re.compile(r"aws-cni|ipamd|sandbox|Warning|Normal|kubelet")
_KUBELET_FILES = re.compile(
    r"^(?:kuberuntime|kubelet|remote_runtime|pod_workers|cni|docker_|topology_manager|cpu_manager|memory_manager|pod_startup|manager|prober|event|reconciler|setters)"
)


def said(line: Line, reference: datetime) -> Said:
    """The line without its frames. `reference` supplies the year that syslog and klog leave out."""
    program, at, level, text, pod = line.hint, _envelope_time(line.stamp), "", line.text.strip(), ""
    if text.startswith('{"level"') or (text.startswith("{") and '"msg"' in text):
        return _from_zap(line, text, at)
    found = _SYSLOG.match(text)
    if found and not text.startswith("{"):
        program, text = _ident(found["ident"]) or program, found["rest"]
        at = (parse_stamp(found["iso"]) if found["iso"] else _yearless(found, reference)) or at
    else:
        bare = _BARE_IDENT.match(text)
        if bare:
            program, text = _ident(bare["ident"]) or program, bare["rest"]
    klog = _KLOG.search(text[:400]) and _KLOG.search(text)
    if klog:
        own = _klog_time(klog, reference)
        program = program or ("kubelet" if _KUBELET_FILES.match(klog["file"]) else _klog_program(klog["file"], text))
        return Said(program, at or own, {"I": "info", "W": "warn", "E": "error", "F": "fatal"}.get(klog["level"] or "", ""), klog["rest"], line.ref, pod)
    tail = _KLOG_TAIL.match(text)
    if tail:
        return Said(program or ("kubelet" if _KUBELET_FILES.match(tail["file"]) else ""), at, "", tail["rest"], line.ref)
    logrus = _LOGRUS.search(text)
    if logrus and (logrus.start() == 0 or not program) and not is_failure(text[: logrus.start()]):
        return _from_logrus(line, logrus, program, at)
    if program in ("kubelet", "containerd", "kernel"):
        return Said(program, at, level, logrus["rest"] if logrus else text, line.ref)
    if not program and (_PYTHON_CNI.match(text) or (_OTHER_CNI.search(text) and not _OURS.search(text))):
        return Said("other-cni", at or _leading_stamp(text), level, text, line.ref)
    frame = parse_frame(text.encode())
    if frame.form == "seelog":
        return Said(_seelog_program(frame.message, program), frame.at or at, frame.level, frame.message, line.ref)
    return Said(program, at or _leading_stamp(text), level, text, line.ref, pod)


def _from_zap(line: Line, text: str, at: Optional[datetime]) -> Said:
    """A zap object, whole or cut; other programs print the same shape, so caller and logger say whose it is."""
    caller, logger = _first(_CALLER, text), _first(_LOGGER, text)
    try:
        fields, _ = json.JSONDecoder().raw_decode(text)
        message = str(fields.get("msg", ""))
        extra = [str(fields[k]) for k in ("error", "err", "Error") if fields.get(k)]
        stamp, level = fields.get("ts", ""), str(fields.get("level", ""))
    except (ValueError, AttributeError):
        cut = re.search(r"\"msg\":\s*\"(.*)$", text, re.DOTALL)
        message, extra = (cut[1] if cut else text).rstrip().rstrip('}"'), []
        stamp, level = _first(re.compile(r"\"ts\":\s*\"([^\"]*)\""), text), _first(re.compile(r"\"level\":\s*\"(\w+)\""), text)
    if isinstance(stamp, (int, float)):
        own: Optional[datetime] = datetime.fromtimestamp(float(stamp), timezone.utc) if 0 < stamp < 1e11 else None
    else:
        own = parse_stamp(str(stamp))
    message = ": ".join([message, *extra])
    return Said(_zap_program(caller, logger, message, line.hint), own or at, level, message, line.ref)


def _zap_program(caller: str, logger: str, message: str, hint: str) -> str:
    if caller.startswith("entrypoint.sh"):
        return "aws-node"
    if _METRICS_HELPER.search(message) or caller.startswith("metrics/"):
        return "metrics-helper"
    if _NPA_LOGGER.match(logger) or (not caller.startswith("routed-eni") and _NPA_WORDS.search(message) and not _PLUGIN_WORDS.match(message)):
        return "npa"
    if logger:
        return "other"
    if _PLUGIN_CALLER.match(caller) or _PLUGIN_WORDS.match(message):
        return "plugin"
    if _IPAMD_CALLER.match(caller) or not caller:
        return hint if hint in ("plugin", "npa") and not caller else "ipamd"
    return hint or "other"


def _seelog_program(message: str, hint: str) -> str:
    if _PLUGIN_WORDS.match(message):
        return "plugin"
    if re.search(r"Reconciler failed|vpc\.amazonaws\.com/PrivateIPv4Address|attached network interface yet|eni wrapper: ", message):
        return "other"  # The VPC resource controller prints the same frame.
    if re.match(r"\[[\w.-]+/[\w.-]+:", message):
        return "kubelet"  # Multus: what it quotes is a sandbox failure.
    return hint if hint == "plugin" else "ipamd"


def _from_logrus(line: Line, found: re.Match[str], program: str, at: Optional[datetime]) -> Said:
    """logrus and slog text: the message and its error, unquoted once."""
    rest = found["rest"].replace('""', '"')
    message = _QUOTED.match(rest)
    text = _unquoted(message[1]) if message else rest
    error = re.search(r"\b(?:error|err)=(?:\"((?:[^\"\\]|\\.)*)\"?|(\S+))", rest[message.end() :] if message else rest)
    if error:
        text = f"{text}: {_unquoted(error[1] or error[2] or '')}"
    if not program:
        program = _logrus_program(line.text, text)
    return Said(program, at or parse_stamp(found["time"] or ""), found["level"], text, line.ref)


def _logrus_program(whole: str, text: str) -> str:
    if re.search(r"cilium|subsys=", whole):
        return "cilium"
    if re.search(r"IPAM|CNI (?:plugin )?binar|config file|aws-vpc-cni|conflist", text) and "sandbox" not in text:
        return "aws-node"
    return "containerd" if re.search(r"[Ss]andbox|cni config|cni conf|shim|PullImage|[Cc]ontainer", text) else ""


def _unquoted(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")


def _klog_program(file: str, text: str) -> str:
    """Whose a klog line is that no frame names: every Kubernetes program prints this frame, and all of them the client library's files."""
    if "policyendpoint" in text.lower():
        return "npa"
    if "logging before flag.Parse" in text or file == "memcache.go":
        return "aws-node"
    return "" if _CLIENT_GO.match(file) else STRANGER


def _ident(ident: str) -> str:
    name = ident.rsplit("/", 1)[-1].lower()
    return next((program for word, program in _IDENTS if name.startswith(word)), "")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _envelope_time(stamp: str) -> Optional[datetime]:
    if stamp.startswith("@"):
        return datetime.fromtimestamp(int(stamp[1:17]) / 1e6, timezone.utc) if len(stamp) >= 17 else None
    return parse_stamp(stamp) if stamp else None


def _leading_stamp(text: str) -> Optional[datetime]:
    return parse_stamp(text[:40]) if re.match(r"\W{0,2}\d{4}-\d\d-\d\d[T ]", text) else None


def _yearless(found: re.Match[str], reference: datetime) -> Optional[datetime]:
    if not found["mon"] or found["mon"] not in _MONTHS:
        return None
    return nearest_year(_MONTHS[found["mon"]], int(found["day"]), found["clock"], reference)


def _klog_time(found: re.Match[str], reference: datetime) -> Optional[datetime]:
    if not found["month"]:
        return None
    return nearest_year(int(found["month"]), int(found["day"]), found["clock"], reference)


def nearest_year(month: int, day: int, clock: str, reference: datetime) -> Optional[datetime]:
    """A time without a year, put into the newest year in which it does not lie more than two days after `reference`."""
    hour, minute, second = clock.split(":")
    whole, _, fraction = second.partition(".")
    for year in (reference.year + 1, reference.year, reference.year - 1):
        try:
            stamp = datetime(year, month, day, int(hour), int(minute), min(int(whole), 59), int((fraction + "000000")[:6]), timezone.utc)
        except ValueError:
            continue
        if stamp <= reference + timedelta(days=2):
            return stamp
    return None
