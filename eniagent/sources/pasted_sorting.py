"""The sorter: takes a paste's documents, fragments and unframed lines, and puts each to the program that printed it.

Refuses to judge: it only says which signature a line carries; lines that no signature knows are counted.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Optional

from eniagent.knowledge import ec2_errors, signatures
from eniagent.model.cni import Environment, KubeletConfig
from eniagent.model.net import PodName
from eniagent.model.record import Event, PodStart
from eniagent.sources import pasted_documents, pasted_events, pasted_failures, pasted_kubectl
from eniagent.sources.frames import Frame, parse_stamp
from eniagent.sources.log_fold import make_event
from eniagent.sources.pasted_frames import STRANGER, Said
from eniagent.sources.pasted_gathered import Gathered
from eniagent.sources.pasted_lines import is_failure

_GUESSES = ("aws-node", "ipamd", "plugin", "kubelet", "containerd")
_NODE_GUESSES = ("kubelet", "containerd")
_FOREIGN = ("cilium", "metrics-helper", "npa", "other", "other-cni")
_TRAIL = re.compile(r"(?:errorCode\W+|^\s*)Client\.(?P<code>[A-Z]\w+(?:\.\w+)*)")
_EVENT_NAME = re.compile(r"eventName\W+(?P<name>[A-Z]\w+)")
_FAILS = re.compile(r"time[d-]* ?out|refused|unreachable|\b40[134]\b|reset|[Ff]ailed|Max retries|no route|[Ee]rror|[Ee]xception|blocked|cancell?ed|exceeded")
_STARTED = re.compile(r"Observed pod startup duration.*?pod=\"(?P<pod>[\w.-]+/[\w.-]+)\"")
_IP_RULE = re.compile(r"^\d+:\s+(?:not )?from \S+ .*lookup \w+\s*$")
_METRIC = re.compile(r"^(?:# (?:HELP|TYPE) )?(?:awscni|process|go)_\w+")


class Sorter:
    """Collects into `got`, `captures` and the attributes."""

    def __init__(self) -> None:
        self.got = Gathered()
        self.unread = 0
        self.foreign = False
        """Whether the stack traces of the text at hand are another program's: see `pasted_owners`."""
        self.newest: Optional[datetime] = None
        self.newest_inside: Optional[datetime] = None
        self.pool_pieces: list[dict[str, str]] = []
        self.told: dict[str, str] = {}
        self.max_pods: Optional[KubeletConfig] = None
        self.environment: Optional[Environment] = None
        self.context = pasted_kubectl.Context()
        self._files: dict[str, bytes] = {}
        self._metrics: list[str] = []
        self._operation = ""
        self._after_stranger = False

    # Documents and fragments.

    def document(self, value: Any, ref: str) -> None:
        """One whole JSON document."""
        file = pasted_documents.file_of(value)
        if file:
            self._files[file] = json.dumps(value).encode()
            self._inside(json.dumps(value))
            return
        kind = pasted_documents.kind_of(value)
        if kind == "subnets":
            self._subnets(pasted_documents.subnets_of(value), ref)
        elif kind == "trail":
            for told in pasted_documents.trail_of(value):
                self._refused(told["code"], told["operation"], f"{told['code']}: {told['words']}", ref)
        elif kind == "events":
            for row in pasted_kubectl.event_rows(value):
                self._row(row, Said("", pasted_kubectl.row_time(row), "", row.message, ref))
        elif kind == "instances":
            self.told.update(pasted_kubectl.instance_facts(value))
        elif kind == "node":
            told, most = pasted_kubectl.node_facts(value)
            self.told.update(told)
            self._most(most, "node's capacity")
        else:
            self.unread += 1

    def fragment(self, text: str, ref: str) -> None:
        """A run of lines out of a document that is not whole."""
        piece = pasted_documents.pool_fragment(text)
        if piece is not None:
            self.pool_pieces.append(piece)
            self._inside(text)
            self._piece(piece, text, ref)
        elif pasted_documents.subnets_in(text):
            self._subnets(pasted_documents.subnets_in(text), ref)
        else:
            for part in text.split("\n"):
                self.line(Said("", None, "", part.strip(), ref))

    def _piece(self, piece: dict[str, str], text: str, ref: str) -> None:
        self.got.put("ipamd", Event("pool-piece", None, piece, text[:400], ref, "introspection"))
        if int(piece.get("assigned", "0")) > int(piece.get("total", piece.get("assigned", "0"))):
            told = f"TotalIPs {piece['total']}, AssignedIPs {piece['assigned']}"
            self.got.put("ipamd", Event("counters-contradict", None, piece, told, ref, "introspection"))

    # Lines.

    def line(self, said: Said) -> None:
        """One line without its frames."""
        if said.at is not None and said.at.year > 2001:
            self.newest = said.at if self.newest is None else max(self.newest, said.at)
        if "# TYPE awscni" in said.text or _METRIC.match(said.text):
            self._metric(said.text)
        elif said.program in _FOREIGN:
            self._foreign(said)
        elif said.program in ("kubelet", "containerd"):
            self._node(said, said.program)
        elif said.program in ("ipamd", "plugin", "aws-node", "kernel"):
            self._logged(said, said.program)
        else:
            self._unframed(said)
        self._after_stranger = said.program == STRANGER

    def _logged(self, said: Said, program: str) -> bool:
        """A line of ipamd, plugin or aws-node's container."""
        home = {"plugin": "plugin", "kernel": "kubelet"}.get(program, "ipamd")
        self.got.cover(home, said.at)
        event = make_event(program, Frame(said.at, said.level, said.text, "pasted"), said.ref)
        if event is not None:
            self.got.put(home, event)
        return event is not None

    def _node(self, said: Said, program: str) -> None:
        """A line of kubelet or the container runtime."""
        self.got.cover(program, said.at)
        started = _STARTED.search(said.text)
        if started:
            self.got.starts.append(PodStart(pod=PodName(started["pod"]), at=said.at))
        event = make_event(program, Frame(said.at, said.level, said.text, ""), said.ref)
        if is_failure(said.text) and not pasted_failures.only_begins(said.text, said.program) and not (event and event.signature == "boot-noise"):
            told = pasted_failures.failure(said.text, at=said.at, ref=said.ref, program=program, pod=self.context.pod)
            self.got.fail(program, told)
        elif event is not None:
            self.got.put(program, event)

    def _foreign(self, said: Said) -> None:
        """A line of another program: its own signatures, else the AWS code that it quotes."""
        event = make_event(said.program, Frame(said.at, said.level, said.text, ""), said.ref)
        refused = ec2_errors.refusal(said.text) if said.program != "other" else None
        if refused is not None and refused.code and (event is None or event.signature == "other-cni-log"):
            self._refused(refused.code, refused.operation, said.text, said.ref, said.at, said.program)
        elif event is not None and (event.signature != "imds-failed" or _FAILS.search(said.text)):
            self.got.put("kubelet" if signatures.BY_ID[event.signature].means == "not-ip-related" else "ipamd", event)
            self.got.cover("ipamd", said.at)
        else:
            self.unread += 1

    def _unframed(self, said: Said) -> None:
        """A bare line: an event, a table's row, a failure's text, or a line of some log without its frame."""
        text = said.text
        row = pasted_events.event_row(text)
        if row is not None:
            self._row(row, said)
        elif self.context.take(text):
            self._from_context(said)
        elif is_failure(text):
            told = pasted_failures.failure(text, at=said.at, ref=said.ref, program="kubelet", pod=self.context.pod)
            self.got.fail("kubelet", told)
            self.got.cover("kubelet", said.at)
        elif _IP_RULE.match(text):
            self.got.put("kubelet", Event("ip-rule", said.at, {}, text, said.ref, "ip"))
        elif not self._trail(said) and not self._guess(said) and not self._message(said):
            self.unread += 1

    def _guess(self, said: Said) -> bool:
        """The first program whose signatures know the text. What another program prints is not taken for ipamd's words."""
        strange = self.foreign or said.program == STRANGER or self._after_stranger
        if strange and signatures.scan_line("other", said.text):
            self._foreign(said._replace(program="other"))
            return True
        for program in _NODE_GUESSES if strange else _GUESSES:
            match = signatures.scan_line(program, said.text)
            if match is None or (match.signature.id == "imds-failed" and not _FAILS.search(said.text)):
                continue
            if program in ("kubelet", "containerd"):
                self._node(said, program)
            else:
                self._logged(said, program)
            return True
        return False

    def _message(self, said: Said) -> bool:
        """An event's message without its row: it must name a cause by itself."""
        event = make_event("event", Frame(said.at, "", said.text, ""), said.ref)
        if event is None or event.signature == "other-owner" or signatures.BY_ID[event.signature].role is not signatures.Role.CAUSE:
            return False
        self.got.put("ipamd" if event.signature == "iam-event" else "kubelet", event)
        self.got.cover("kubelet", said.at)
        return True

    def _trail(self, said: Said) -> bool:
        """CloudTrail in text: codes carry `Client.`; the call may stand on another line."""
        name = _EVENT_NAME.search(said.text)
        if name:
            self._operation = name["name"]
        found = _TRAIL.search(said.text)
        if found:
            self._refused(found["code"], self._operation, said.text, said.ref, said.at)
        return bool(found or name)

    def _row(self, row: pasted_events.Row, said: Said) -> None:
        """One event of kubectl's."""
        subject = row.subject.split("/", 1)[1] if row.subject.lower().startswith("pod") else ""
        pod = (f"{row.namespace}/{subject}" if row.namespace and subject else subject) or self.context.pod
        self.got.cover("kubelet", said.at)
        if row.reason in ("Started", "AddedInterface") and pod and row.age_s is not None:
            self.got.up[pod] = row.age_s
        if is_failure(row.message) or row.reason in ("FailedCreatePodSandBox", "FailedKillPod"):
            told = pasted_failures.failure(
                row.message, at=said.at, ref=said.ref, program="event", pod=pod, count=row.count, age_s=row.age_s
            )
            self.got.fail("kubelet", told)
            return
        event = make_event("event", Frame(said.at, "", f"{row.reason} {row.subject or self.context.pod} {row.message}".strip(), ""), said.ref)
        if event is not None:
            self.got.put("ipamd" if event.signature == "iam-event" else "kubelet", event)
        elif signatures.scan_line("kubelet", row.message):
            self._node(said._replace(text=row.message), "kubelet")
        else:
            self.unread += 1

    def _from_context(self, said: Said) -> None:
        for fact, text in self.context.news():
            self.got.put("kubelet", Event(fact, said.at, {}, text, said.ref, "kubectl"))
            self.got.cover("kubelet", said.at)
        self.told.update(self.context.told)
        self._most(self.context.max_pods, "node's capacity")
        if len(self.context.environment) >= 4:
            self.environment = Environment(values=dict(self.context.environment))

    def _most(self, pods: Optional[int], origin: str) -> None:
        if pods is not None:
            self.max_pods = KubeletConfig(max_pods=pods, origin=origin)

    def _metric(self, text: str) -> None:
        body = text[text.find("# HELP") :] if "# TYPE awscni" in text and "# HELP" in text else text
        rows = body.replace("\\n", "\n").replace('\\"', '"').split("\n")
        # A log line that was cut may end within a number.
        self._metrics += rows[:-1] if len(rows) > 1 else rows

    def _subnets(self, told: list[tuple[str, int]], ref: str) -> None:
        for subnet, free in told:
            self.got.put("ipamd", Event("subnet-free", None, {"subnet": subnet, "free": str(free)}, f"{subnet} {free}", ref, "aws-cli"))

    def _refused(self, code: str, operation: str, text: str, ref: str, at: Optional[datetime] = None, program: str = "cloudtrail") -> None:
        code = code.split("Client.", 1)[-1]
        if code == "InvalidParameterValue" and "in use" in text:
            return
        fields = {"code": code, "operation": operation or ec2_errors.operation(text), "network": ""}
        self.got.put("ipamd", Event("ec2-refused", at, fields, text[:1000], ref, program))

    def _inside(self, text: str) -> None:
        stamps = (parse_stamp(m) for m in re.findall(r"\"((?!0001)\d{4}-\d\d-\d\dT[\d:.]+Z?)\"", text))
        newest = max((s for s in stamps if s), default=None)
        if newest is not None:
            self.newest_inside = newest if self.newest_inside is None else max(self.newest_inside, newest)

    # What came together.

    def captures(self) -> dict[str, bytes]:
        """Whole documents as the captures for which they stand."""
        files = dict(self._files)
        if any(not row.startswith("#") for row in self._metrics):
            files["ipamd/metrics.txt"] = ("\n".join(self._metrics) + "\n").encode()
        return files
