"""containerd's journal: sandboxes that failed and that came up, and troubles with the CNI configuration.

Refuses to hold entries, and to count what kubelet's journal tells once more: the case joins the two by pod.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eniagent.model.capture import Seen
from eniagent.model.probe import Probe, ReadJournal
from eniagent.model.reading import Reading
from eniagent.model.record import Journal
from eniagent.sources import Span, journal_reading
from eniagent.sources.journal_fold import RUNTIME, TEARDOWN, Fold
from eniagent.sources.sandbox_errors import pod_of

FILE = "journal/containerd.jsonl"

GREP = (
    r"^(?:time=\"[^\"]+\" level=(?:info msg=\"RunPod[sS]andbox for [^}]+\} returns|(?:error|warning|fatal) msg=\"(?:RunPod[sS]andbox|[fF]ailed to (?:load|reload|destroy)|.*cni))"
    r"|(?!time=).*(?:RunPod[sS]andbox|cni |CNI ))"
)

_RUN = re.compile(rb"RunPod[sS]andbox for ")
_TORN = re.compile(rb"[fF]ailed to destroy network for sandbox|StopPodSandbox for .* failed")
_INTERESTING = re.compile(rb"cni|CNI")


def plan(seen: Seen) -> Sequence[Probe]:
    """One read of containerd's journal."""
    if FILE in seen:
        return ()
    return (ReadJournal(file=FILE, units=("containerd.service",), identifiers=("containerd",), grep=GREP),)


def read(seen: Seen, span: Span) -> Reading[Journal]:
    """The journal folded over the window. Never raises."""
    return journal_reading.read(seen, span, file=FILE, program="containerd", told=fold_line)


def fold_line(fold: Fold, message: bytes, at_us: int, ref: bytes) -> None:
    """One message of containerd."""
    if b"andbox" in message:
        if b"} failed" in message and _RUN.search(message):
            fold.failed(message, at_us=at_us, source=RUNTIME, ref=ref)
            return
        if b"} returns sandbox id" in message:
            pod = pod_of(message) if fold.pods else None
            if pod is not None:
                fold.recovered(pod.key, at_us=at_us)
            return
        if _TORN.search(message):
            fold.count(TEARDOWN)
            return
    if _INTERESTING.search(message):
        fold.event(message, at_us=at_us, ref=ref)
