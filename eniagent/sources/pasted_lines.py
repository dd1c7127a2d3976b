"""Pasted text into logical lines: viewers' prefixes off, shippers' envelopes opened, broken lines joined again.

Refuses to guess what is missing: a line that was cut stays cut, and two lines are only joined where the first cannot stand alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional


class Line(NamedTuple):
    """One logical line. `ref` is `name:number`; `hint` the program that the surroundings name ("" where they do not)."""

    text: str
    ref: str
    hint: str = ""
    stamp: str = ""
    """The time that an envelope gave, where the line itself may carry none."""


LONGEST = 128 << 10
"""No program prints a longer line but one: a whole metrics page escaped into a log line, which is shorter."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_VIEWER = re.compile(
    r"^(?:[│┃|]\s+(?:(?P<k9s>[\w.-]+)\s)?"  # k9s and other full-screen viewers
    r"|\[pod/[\w.-]+/(?P<prefixed>[\w.-]+)\]\s"  # kubectl logs --prefix
    r"|(?P<compose>aws-node|aws-vpc-cni-init|aws-eks-nodeagent)\s+\|\s"
    r"|(?:[+·]\s)?aws-node-\w{5}\s+(?:›\s+)?(?P<stern>aws-node|aws-vpc-cni-init|aws-eks-nodeagent)\s"
    r"|(?P<file>/?(?:[\w.-]+/)*(?:ipamd|plugin|messages|syslog|kubelet|containerd)[\w.-]*?(?:\.log)?(?:\.gz)?):(?:\d+[:-])?(?=\S)"  # grep -H
    r"|\[(?P<bracket>/[\w./-]+)\]\s+)"
)
_HEADING = re.compile(r"^(?:==>|---+|#+)\s*(?P<file>/?[\w./-]*\.?\w*(?:log|messages|syslog|json|txt))\b.*$")
_CRI = re.compile(r"^(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) [FP] ?")
_ENVELOPE_KEYS = ("log", "message", "MESSAGE", "@message", "msg_raw", "_raw", "line")
_NEW_LINE = re.compile(
    r"^\s*(?:\{|\d{4}-\d\d-\d\d|[A-Z][a-z]{2}\s+\d{1,2} \d\d:|[IWEF]\d{4} |(?:\d{1,2} )?\d\d:\d\d:\d\d|time=|level=|msg=|\"|\[?[\w.-]+\[\d+\]:"
    r"|(?:\S+\s+){0,6}(?:Warning|Normal)\s|\S+\.go:\d+\]|panic:|goroutine |#|-{3}|={3}|\}|\]|Events:|Installed |Name:|Type\s+Reason|$)"
)
_HEADED = re.compile(r"\.go:\d+\] |level=\w+ msg=|(?:Warning|Normal)\s+[A-Z]\w+\s")
_QUOTE = re.compile(r"(?<!\\)\"")
_TAIL = re.compile(r"^\s*(?:status code: \d+, request id|caused by: )")
_PROGRAM_OF_FILE = (
    ("plugin", "plugin"), ("ipamd", "ipamd"), ("kubelet", "kubelet"), ("containerd", "containerd"),
    ("aws-node", "aws-node"), ("aws-vpc-cni-init", "aws-node"), ("aws-eks-nodeagent", "npa"),
)


def program_of_file(name: str) -> str:
    """The program whose lines a file or stream of this name holds, "" where the name does not tell."""
    return next((program for word, program in _PROGRAM_OF_FILE if word in name.lower()), "")


def decode_text(data: bytes) -> str:
    """Bytes of a paste as text: byte order marks honoured, escape sequences and carriage returns dropped. Never raises."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8-sig", "replace")
    return _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def logical_lines(name: str, text: str) -> Iterator[Line]:
    """All lines of one text in order, opened and joined."""
    hint = program_of_file(name)
    pending: Optional[Line] = None
    for number, raw in enumerate(text.split("\n"), 1):
        heading = _HEADING.match(raw)
        if heading and program_of_file(heading["file"]):
            hint = program_of_file(heading["file"])
            continue
        for line in _opened(raw[:LONGEST], f"{name}:{number}", hint):
            if pending is not None and _continues(pending, line):
                pending = pending._replace(text=_join(pending.text, line.text))
                continue
            if pending is not None:
                yield pending
            pending = line
    if pending is not None:
        yield pending


def _opened(raw: str, ref: str, hint: str) -> Iterator[Line]:
    """One physical line without what viewers and shippers put around it; it may hold several objects."""
    text, hint = _unprefixed(raw.rstrip(), hint)
    cri = _CRI.match(text)
    stamp = ""
    if cri:
        text, stamp = text[cri.end() :], cri["stamp"]
    if text.lstrip().startswith("{") and not text.lstrip().startswith('{"level"'):
        envelope = _envelope(text)
        if envelope is not None:
            inner, inner_hint, inner_stamp = envelope
            for piece in inner.rstrip("\n").split("\n"):
                yield from (line._replace(stamp=line.stamp or inner_stamp) for line in _opened(piece, ref, inner_hint or hint))
            return
    for piece in _objects(text):
        yield Line(piece, ref, hint, stamp)


def _unprefixed(text: str, hint: str) -> tuple[str, str]:
    """Without a viewer's or grep's prefix, and the program which that prefix names."""
    found = _VIEWER.match(text)
    if not found:
        return text, hint
    named = next((g for g in found.groups() if g), "")
    return text[found.end() :], program_of_file(named) or hint


def _envelope(text: str) -> Optional[tuple[str, str, str]]:
    """The line inside a shipper's JSON object: text, program, time. None where this is no envelope."""
    try:
        outer = json.loads(text)
    except ValueError:
        return None
    if not isinstance(outer, dict) or "level" in outer:
        return None
    inner = next((outer[k] for k in _ENVELOPE_KEYS if isinstance(outer.get(k), str)), None)
    if inner is None:
        return None
    who = " ".join(str(outer.get(k, "")) for k in ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "container_name", "systemd_unit", "filename", "log_file"))
    kubernetes = outer.get("kubernetes")
    if isinstance(kubernetes, dict):
        who += " " + str(kubernetes.get("container_name", ""))
    return inner, program_of_file(who), _envelope_time(outer)


def _envelope_time(outer: dict[str, Any]) -> str:
    micros = str(outer.get("__REALTIME_TIMESTAMP") or outer.get("_SOURCE_REALTIME_TIMESTAMP") or "")
    if micros.isdigit():
        return f"@{micros}"
    return next((str(outer[k]) for k in ("time", "date", "@timestamp", "timestamp") if isinstance(outer.get(k), str)), "")


def _objects(text: str) -> Iterator[str]:
    """`{...}, {...}` on one line are two messages."""
    if not text.startswith('{"level"') or text.count('{"level"') < 2:
        yield text
        return
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        start = text.find('{"level"', at)
        if start < 0:
            break
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:
            yield text[start:]
            return
        yield text[start:end]
        at = end


def _continues(first: Line, second: Line) -> bool:
    """Whether `second` is the rest of `first`: an SDK's second line, a wrapped object, a wrapped event."""
    if not second.text.strip() or len(first.text) > 8000:
        return False
    if _TAIL.match(second.text) and first.text:
        return True
    if first.text.startswith('{"level"') and not _closed(first.text):
        return not second.text.lstrip().startswith("{") and not _NEW_LINE.match(second.text)
    if first.text.endswith(">") or _NEW_LINE.match(second.text):
        return False
    if _HEADED.search(first.text) and len(_QUOTE.findall(first.text)) % 2:
        return True
    return is_failure(first.text) and not is_failure(second.text)


_FAILURE = re.compile(
    r"FailedCreatePodSandBox|[Ff]ailed to create (?:a )?sandbox for pod|[Ff]ailed (?:to )?create pod sandbox|RunPodSandbox"
    r"|CreatePodSandbox|failed to set ?up (?:network for sandbox|sandbox container)|SetupNetwork|[Nn]etworkPlugin cni failed|KillPodSandbox"
    r"|run pod sandbox failed|[Ee]rror (?:while )?adding (?:to cni network|network|container to network)"
    r"|FailedKillPod|error killing pod|failed to destroy network for sandbox|Failed to setup network for pod"
    r"|OCI runtime create failed|failed to create (?:containerd|shim) task"
    r"|plugin type=\\*\"[\w-]+\\*\"(?: name=\\*\"[\w-]+\\*\")? failed|while adding to cni network|\bnetwork aws-cni/aws-cni: add cmd"
)


def is_failure(text: str) -> bool:
    """Whether a line tells of a sandbox that was not set up or torn down, in anyone's words."""
    return _FAILURE.search(text) is not None


def _closed(text: str) -> bool:
    return text.rstrip().rstrip(",").endswith("}")


def _join(first: str, second: str) -> str:
    """Joins what was one line. An SDK's own line break is kept; a wrap at a blank gets its blank back, one in a word does not."""
    if _TAIL.match(second):
        return f"{first}\n\t{second.strip()}"
    rest = second.lstrip()
    whole = len(first) >= 60 and second == rest
    in_word = whole and re.search(r"[\w.\"\\/=-]$", first) and re.match(r"[\w.\"\\/=-]", rest)
    if in_word and not re.search(r"(?:^|\s)(?:[a-z]{2,}:?|=|\S+:)$", first):
        return first + rest
    return f"{first.rstrip()} {rest}"
