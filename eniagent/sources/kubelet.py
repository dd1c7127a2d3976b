"""kubelet's journal: failed sandboxes of every kubelet generation, pods that came up or went, and the node's own troubles.

Refuses to hold entries: the stream is folded as it comes, so a storm of failures costs time and no memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eniagent.model.capture import Seen
from eniagent.model.probe import Probe, ReadJournal
from eniagent.model.reading import Reading
from eniagent.model.record import Journal
from eniagent.sources import Span, journal_reading, kubelet_json
from eniagent.sources.journal_fold import MANAGER, RECORDER, RUNTIME, SANDBOX, WORKER, Fold
from eniagent.sources.kubelet_starts import pod_started
from eniagent.sources.sandbox_errors import NO_NETWORK, pod_of

FILE = "journal/kubelet.jsonl"

_HEAD = r"\d{4} [\d:.]+ +\d+ "
GREP = (
    rf"^(?:I{_HEAD}(?:pod_startup_la|kubelet\.go:\d+\] \"?(?:SyncLoop \(?(?:DEL|REM|PLEG\): (?:\"|[^=]*=[^=]*=&)[^T]*Type:\"?ContainerSt)|skipping pod sync|Pod admission)"
    r"|event\.go:\d+\] .*(?:FailedCreatePodS|[cC]reate pod s|aws-node|OutOfpods)|prober\.go:\d+\] (?:\"Probe [^=]*=[^=]*=\"kube-system/aws-|[^\"]*\"aws-)|setters\.go|(?:predicate|util|oom_watcher\w*)\.go:\d+\] .*(?:pods|aws-))"
    rf"|[EWF]{_HEAD}(?:kubelet\.go|cni\.go|docker_manager|pod_workers\.go:\d+\] \"Error syncing pod, skipping\" err=\"(?:network is not|failed to \\\"StartContainer\\\" for \\\"aws-)"
    r"|pod_workers\.go:\d+\] E.*(?:SetupNetwork|container=aws-|etwork)|prober\.go:\d+\] (?:\"Probe [^=]*=[^=]*=\"kube-system/aws-|[^\"]*\"aws-)|(?:[^x]*x)+?(?<=andbox|andBox))"
    rf"|(?![IEWF]\d{{4}} ).*(?:andbox|andBox|etwork|aws-|pod startup|SyncLoop))"
)
"""Anchored at klog's header, so that journalctl's interpreted PCRE2 gives up on most lines within 40 bytes. The same text is
valid for Python's `re`. `andbox` is looked for at each `x`, the rarest letter in it; `[^T]*T` and the like stop where `.*` would
run to the end and come back. Not asked for are PLEG's events as kubelet prints them from 1.27 on (`event={"ID":...`): there the
start tracker and containerd's journal tell who came up, and every pod prints several of them."""

_KLOG = re.compile(rb"[EIWF]\d{4} [\d:.]+ +\d+ ([\w.-]+?)\.go:\d+\] ")
_FIND_KLOG = re.compile(rb"(?<![\w.-])[EIWF]\d{4} [\d:.]+ +\d+ ([\w.-]+?)\.go:\d+\] ")
_INFO = ord("I")
_SOURCES = {
    b"remote_runtime": RUNTIME, b"log": RUNTIME, b"kuberuntime_sandbox": SANDBOX, b"docker_manager": SANDBOX, b"kuberuntime_manager": MANAGER,
    b"pod_workers": WORKER, b"event": RECORDER,
}
_CONTAINER = re.compile(rb"Data\"?[:=]\s?\"?([0-9a-f]{16})")
_LISTED = re.compile(rb"([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9.-]*)")
_LISTED_TEXT = re.compile(rb"([a-z0-9][a-z0-9.-]*)_([a-z0-9-]+)\(")
_ORPHAN = re.compile(rb"podUID=\"?([0-9a-f-]{32,36})|[Oo]rphaned pod \"([0-9a-f-]{32,36})\"")
_INTERESTING = re.compile(GREP.encode())


def plan(seen: Seen) -> Sequence[Probe]:
    """One read of kubelet's journal, snap units included."""
    if FILE in seen:
        return ()
    return (ReadJournal(file=FILE, units=("kubelet.service", "snap.kubelet-eks.daemon.service"), identifiers=("kubelet", "kubelet-eks.daemon"), grep=GREP),)


def read(seen: Seen, span: Span) -> Reading[Journal]:
    """The journal folded over the window. Never raises."""
    return journal_reading.read(seen, span, file=FILE, program="kubelet", told=fold_line)


def fold_line(fold: Fold, message: bytes, at_us: int, ref: bytes) -> None:
    """One message of kubelet."""
    head = _KLOG.match(message) or _FIND_KLOG.search(message)
    if head is None:
        if message.startswith(b'{"'):
            plain = kubelet_json.as_klog(message)
            if plain is not None:
                fold_line(fold, plain, at_us, ref)
                return
        _fold_other(fold, message, at_us, ref, source=RECORDER if b"reate pod sandbox" in message else WORKER)
        return
    name = head[1]
    if head.start():
        message = message[head.start() :]
    if message[0] == _INFO and name != b"event":
        _fold_info(fold, name, message, at_us, ref)
    else:
        _fold_other(fold, message, at_us, ref, source=_SOURCES.get(name, MANAGER))


def _fold_other(fold: Fold, message: bytes, at_us: int, ref: bytes, *, source: int) -> None:
    """A line that is no information of klog's: a failure of a pod, or something about the node."""
    if b"andbox" in message or b"andBox" in message or _tells_failure(message) or (source == WORKER and NO_NETWORK in message):
        fold.failed(message, at_us=at_us, source=source, ref=ref)
    elif b"SyncLoop" in message or b"pod startup" in message:
        _fold_info(fold, b"", message, at_us, ref)
    elif _INTERESTING.match(message):
        fold.event(message, at_us=at_us, ref=ref)


def _tells_failure(message: bytes) -> bool:
    return b"network for pod" in message or b"failed to set up pod" in message or b"SetupNetwork" in message


def _fold_info(fold: Fold, name: bytes, message: bytes, at_us: int, ref: bytes) -> None:
    if name == b"pod_startup_latency_tracker" or b"Observed pod startup" in message:
        if b"Observed pod startup" in message:
            fold.started(pod_started(message), message[message.find(b"]") + 1 :], at_us=at_us)
    elif b"SyncLoop " in message:
        if fold.pods:
            _fold_sync(fold, message, at_us)
    elif b"rphaned pod" in message:
        found = _ORPHAN.search(message) if fold.pods else None
        if found:
            fold.gone_uid(found[1] or found[2], at_us=at_us)
    elif _INTERESTING.match(message):
        fold.event(message, at_us=at_us, ref=ref)


def _fold_started(fold: Fold, message: bytes, at_us: int) -> None:
    pod = pod_of(message)
    if pod is None or pod.key not in fold.pods:
        return
    found = _CONTAINER.search(message)
    # A sandbox that failed was started too: docker lists it until it is torn down.
    if found is None or not fold.is_failed(found[1]):
        fold.recovered(pod.key, at_us=at_us)


def _fold_sync(fold: Fold, message: bytes, at_us: int) -> None:
    """SyncLoop lines matter only for pods that failed before them."""
    if b"(PLEG)" in message:
        if b"ContainerStarted" in message:
            _fold_started(fold, message, at_us)
        return
    listed = message.find(b"DELETE")
    listed = message.find(b"REMOVE") if listed < 0 else listed
    if listed < 0:
        return
    pods = message.find(b"pods=", listed)
    if pods >= 0:
        for namespace, name in _LISTED.findall(message, pods):
            fold.gone(namespace + b"/" + name, at_us=at_us)
    else:
        for name, namespace in _LISTED_TEXT.findall(message, listed):
            fold.gone(namespace + b"/" + name, at_us=at_us)
