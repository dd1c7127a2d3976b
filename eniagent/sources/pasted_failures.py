"""Failed sandboxes of a paste: pod, sandbox, inner error of each line, folded to attempts and pods.

Refuses to count one attempt twice: kubelet tells it in up to four lines, the runtime and an event once more each.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple, Optional

from eniagent.knowledge import signatures
from eniagent.model.net import PodName
from eniagent.model.record import Event, PodTrouble

UNNAMED = "(a pod that the text does not name)"
_TEXT_LIMIT = 1500
_POD = re.compile(
    r"\bpod=\"(?P<ns1>[\w.-]+)/(?P<name1>[\w.-]+)\""
    r"|PodSandboxMetadata\{Name:(?P<name2>[\w.-]+),(?:Uid:[^,]*,)?(?:Namespace:(?P<ns2>[\w.-]+))?"
    r"|(?:pod |for |syncing pod \S+ \()\\*\"(?P<name3>[a-z0-9][a-z0-9.-]*)_(?P<ns3>[a-z0-9][a-z0-9-]*)(?:\([\w-]+\))?\\*\""
    r"|\[(?P<ns4>[a-z0-9-]+)/(?P<name4>[\w.-]+):[\w-]+\]"
    r"|\b(?P<ns5>[a-z0-9-]+)_(?P<name5>[a-z0-9.-]+)/(?P<sandbox>[0-9a-f]{64}) to network"
    r"|for pod \\*\"(?P<name6>[a-z0-9][a-z0-9.-]*)\\*\""
)
_SANDBOX = re.compile(r"(?:sandbox(?: container)?|containerID|[Cc]ontainer) \\*\"?(?P<id>[0-9a-f]{64})|/(?P<id2>[0-9a-f]{64}) to network")
_SECOND = re.compile(r"\\*\"?, failed to clean ?up sandbox container .*|\]?\s*; Skipping pod.*", re.DOTALL)
_INNER = re.compile(
    r"(?:network for sandbox \\*\"[0-9a-f]+\\*\"|failed to (?:set up|teardown) pod \\*\"[^\"\\]+\\*\" network"
    r"|for pod \\*\"[^\"\\]+\\*\"(?: using network plugins \\*\"cni\\*\")?"
    r"|to network [\w/-]+|adding (?:to cni network|network)|to network \"[\w-]+\"): +(?P<inner>.+)$",
    re.DOTALL,
)
_OPENED = re.compile(
    r"network for sand|failed to set ?up sandbox container|failed to set up pod|[nN]etworkPlugin cni|Failed to create$|create sandbox for pod"
    r"|failed to teardown|CreatePodSandbox"
)
_DESC = re.compile(r"rpc error:? code ?= ?\w+ desc = (?P<inner>.+)$", re.DOTALL)


class Failure(NamedTuple):
    """One line about one failed attempt. `pod`, `sandbox`: "" where the line does not tell. `count`: what an event's age column says."""

    pod: str
    sandbox: str
    signature: str
    at: Optional[datetime]
    count: int  # type: ignore[assignment] # A failure is never searched with tuple.count.
    event: Event
    age_s: Optional[float] = None


def failure(text: str, *, at: Optional[datetime], ref: str, program: str, pod: str = "", count: int = 1, age_s: Optional[float] = None) -> Failure:
    """What one failure line tells."""
    named = _named_pod(text) or pod
    if pod and named and "/" not in named and pod.endswith("/" + named):
        named = pod
    found = _SANDBOX.search(text)
    sandbox = (found["id"] or found["id2"]) if found else ""
    signature, inner = classify(text)
    fields = {**signatures.failure_fields(signature, inner), "sandbox": sandbox, "inner": inner[:300]}
    event = Event(signature=signature, at=at, fields={k: v for k, v in fields.items() if v}, text=text[:_TEXT_LIMIT], ref=ref, program=program)
    return Failure(named, sandbox, signature, at, count, event, age_s)


def only_begins(text: str, program: str) -> bool:
    """containerd tells of every sandbox that it begins; only a failed one is an attempt that failed."""
    return program == "containerd" and not re.search(r"fail|error|Exception", text) or bool(re.search(r"returns sandbox id", text))


def classify(text: str) -> tuple[str, str]:
    """The signature of a failure text and its inner error. Of two errors in one text the first counts: the second is the clean-up's."""
    first = _SECOND.sub("", text)
    inner = inner_error(first)
    signature = signatures.classify_failure(inner or first)
    if signature == signatures.OTHER_FAILURE and inner:
        signature = signatures.classify_failure(first)
    if signature != signatures.OTHER_FAILURE:
        return signature, inner or first
    if not inner or len(inner) < 8:
        return "failure-cut", inner
    return ("foreign-error" if signatures.is_foreign(inner) else signatures.OTHER_FAILURE), inner


def inner_error(text: str) -> str:
    """The error below all wrappings, "" where the text ends before it."""
    text = text.strip().rstrip(">").rstrip()
    found = _INNER.search(text)
    if found:
        inner = _shortest(found["inner"])
        return "" if _OPENED.search(inner) else inner
    if _OPENED.search(text[text.rfind("desc = ") :] if "desc = " in text else text):
        return ""
    found = _DESC.search(text)
    return _shortest(found["inner"]) if found else text


def _shortest(inner: str) -> str:
    """Wrappings may nest: the part behind the innermost marker."""
    while True:
        deeper = _INNER.search(inner)
        if not deeper or deeper["inner"] == inner:
            break
        inner = deeper["inner"]
    return re.sub(r"^rpc error:? code ?= ?(?:Unknown) desc = ", "", inner).strip()


def _named_pod(text: str) -> str:
    for found in _POD.finditer(text):
        groups = found.groupdict()
        for n in ("1", "2", "3", "4", "5", "6"):
            if groups.get(f"name{n}"):
                namespace = groups.get(f"ns{n}") or ""
                return f"{namespace}/{groups[f'name{n}']}" if namespace else str(groups[f"name{n}"])
    return ""


def fold(failures: list[Failure], *, recovered: dict[str, datetime]) -> tuple[PodTrouble, ...]:
    """Failures by pod. A line that names no pod joins the attempt whose sandbox or second it shares."""
    by_sandbox = {f.sandbox: f.pod for f in failures if f.sandbox and f.pod}
    times = [(f.at, f.pod) for f in failures if f.pod and f.at]
    pods: dict[str, list[Failure]] = {}
    for f in failures:
        pod = f.pod or by_sandbox.get(f.sandbox, "")
        if not pod and f.at:
            pod = next((named for at, named in times if abs(f.at - at) <= timedelta(seconds=2)), "")
        pods.setdefault(pod or UNNAMED, []).append(f)
    merged = _merge_short_names(pods)
    return tuple(_trouble(pod, told, recovered.get(pod)) for pod, told in sorted(merged.items()))


def _merge_short_names(pods: dict[str, list[Failure]]) -> dict[str, list[Failure]]:
    """`name` and `namespace/name` are one pod where only one namespace has that name."""
    full: dict[str, list[str]] = {}
    for pod in pods:
        if "/" in pod:
            full.setdefault(pod.split("/", 1)[1], []).append(pod)
    merged: dict[str, list[Failure]] = {}
    for pod, told in pods.items():
        homes = full.get(pod, [])
        merged.setdefault(homes[0] if len(homes) == 1 else pod, []).extend(told)
    return merged


def _trouble(pod: str, told: list[Failure], recovered_at: Optional[datetime]) -> PodTrouble:
    attempts: dict[str, tuple[str, int]] = {}
    for f in told:
        key = f.sandbox or (f"@{int(f.at.timestamp())}" if f.at else f"#{f.event.text[:200]}")
        known = attempts.get(key)
        better = known is None or known[0] in ("failure-cut", signatures.OTHER_FAILURE, "foreign-error")
        attempts[key] = (f.signature if better else known[0], max(f.count, known[1] if known else 1))  # type: ignore[index]
    counts: dict[str, int] = {}
    for signature, count in attempts.values():
        counts[signature] = counts.get(signature, 0) + count
    times = sorted(f.at for f in told if f.at)
    return PodTrouble(
        pod=PodName(pod), failures=sum(counts.values()), first_at=times[0] if times else None, last_at=times[-1] if times else None,
        signatures=counts, newest=_newest(told).event, recovered_at=recovered_at,
    )


def _newest(told: list[Failure]) -> Failure:
    """The newest line whose error is known; age columns order rows that carry no time."""
    known = [f for f in told if f.signature not in ("failure-cut", signatures.OTHER_FAILURE)] or told
    timed = [f for f in known if f.at]
    if timed:
        return max(timed, key=lambda f: f.at or datetime.min)
    aged = [f for f in reversed(known) if f.age_s is not None]
    return min(aged, key=lambda f: f.age_s or 0.0) if aged else known[-1]
