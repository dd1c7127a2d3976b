"""Churn from ipamd.log: pods that ask for an address, answers that give one, and addresses that are freed.

Refuses to count a retry as an arrival: kubelet asks again for the same pod until it has its address, and a full node would look busy.
Source: amazon-vpc-cni-k8s v1.5 to v1.23.1, rpc_handler.go.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Optional

from eniagent.model.capture import CaptureCut, Seen
from eniagent.model.churn import Churn
from eniagent.model.reading import Observed, Reading, Unobserved, Why, not_collected
from eniagent.sources import Span
from eniagent.sources.frames import parse_frame

SOURCE = "churn in ipamd.log"
BURST_S = 30.0
"""What it takes to refill a pool: its loop (5 s), the EC2 calls of a create and attach, and IMDS, which shows an ENI seconds later."""
MINUTE_S = 60.0
RETRY_S = 300.0
"""kubelet's longest back-off: a pod that asks again within it is still the same arrival."""

_MARK = re.compile(rb"AddNetworkRequest: |Received AddNetwork for NS |Send AddNetworkReply: |Send DelNetworkReply: |Send ReleaseIPReply")
_ASKED = re.compile(
    rb"AddNetworkRequest: .*?K8S_POD_NAME:\\*\"(?P<pod>[^\"\\]+)\\*\".*?K8S_POD_NAMESPACE:\\*\"(?P<namespace>[^\"\\]+)"
    rb"|Received AddNetwork for NS \S+ Pod (?P<old_pod>[^\s,]+), Name[Ss]pace (?P<old_namespace>[^\s,]+)"
)
_GIVEN = re.compile(rb"Send AddNetworkReply: (?:Success: true|IPv4Addr:? \d|IPv4Addr:? ?, IPv6Addr:? ?[0-9a-f])")
_FREED = re.compile(rb"Send DelNetworkReply: (?:IPAddress: \[IPv[46]Addr|IPv4Addr:? \d|IPv4Addr:? ?, IPv6Addr:? ?[0-9a-f]).*err: <nil>")


def read_churn(seen: Seen, span: Span, *, rest_s: float) -> Reading[Churn]:
    """The churn over all of the log that was captured; `rest_s` is the cooldown. A log in which nothing is counted is a quiet node."""
    files = sorted(file for file in seen if file.startswith("logs/ipamd"))
    files.sort(key=lambda file: file.endswith("/ipamd.log"))
    if not files:
        return not_collected(SOURCE)
    good = [file for file in files if seen[file].about.failure is None]
    if not good:
        about = seen[files[-1]].about
        return Unobserved(why=about.failure or Why.MALFORMED, source=SOURCE, at=about.at, detail=about.detail)
    count = _Count(span, rest_s)
    for file in good:
        try:
            for line in _lines(seen[file].chunks()):
                count.line(line)
        except CaptureCut as cut:
            return Unobserved(why=cut.why, source=SOURCE, at=span.until, detail=cut.detail)
    if count.since is None:
        return Unobserved(why=Why.MALFORMED, source=SOURCE, at=span.until, detail="no line with a time in it")
    return Observed(value=count.churn(), source=SOURCE, at=span.until)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The first and the last line, and between them those that count."""
    rest, first, last = b"", True, b""
    for chunk in chunks:
        block, newline, rest = (rest + chunk).rpartition(b"\n")
        if not newline:
            continue
        if first:
            first = False
            yield block.split(b"\n", 1)[0]
        yield from _marked(block)
        last = block.rsplit(b"\n", 1)[-1]
    yield from _marked(rest)
    yield rest or last


def _marked(block: bytes) -> Iterator[bytes]:
    end = -1
    for found in _MARK.finditer(block):
        if found.start() >= end:
            begin = block.rfind(b"\n", 0, found.start()) + 1
            end = block.find(b"\n", found.start())
            end = len(block) if end < 0 else end
            yield block[begin:end]


class _Most:
    """The most events within a stretch of time; they come in order."""

    def __init__(self, stretch_s: float) -> None:
        self._stretch_s = stretch_s
        self._within: deque[datetime] = deque()
        self.count = 0
        self.at: Optional[datetime] = None

    def add(self, at: datetime) -> None:
        """One more event."""
        self._within.append(at)
        while (at - self._within[0]).total_seconds() > self._stretch_s:
            self._within.popleft()
        if len(self._within) >= self.count:
            self.count, self.at = len(self._within), at


class _Count:
    """Takes lines in the log's order."""

    def __init__(self, span: Span, rest_s: float) -> None:
        self._span, self._rest_s = span, rest_s
        self._asked: dict[bytes, datetime] = {}
        self._burst, self._minute, self._rest = _Most(BURST_S), _Most(MINUTE_S), _Most(rest_s)
        self.since: Optional[datetime] = None
        self.until: Optional[datetime] = None
        self.arrivals = self.granted = self.freed = self._held = self._most_held = 0

    def line(self, line: bytes) -> None:
        """One line; those without a time, and those of after *now*, count nothing."""
        at = parse_frame(line).at
        if at is None or at > self._span.until:
            return
        self.since = at if self.since is None else min(self.since, at)
        self.until = at if self.until is None else max(self.until, at)
        if _GIVEN.search(line):
            self.granted += 1
            self._held += 1
            self._most_held = max(self._most_held, self._held)
        elif _FREED.search(line):
            self.freed += 1
            self._held -= 1
            self._rest.add(at)
        else:
            self._ask(line, at)

    def _ask(self, line: bytes, at: datetime) -> None:
        found = _ASKED.search(line)
        if found is None:
            return
        pod = b"/".join((found["namespace"] or found["old_namespace"], found["pod"] or found["old_pod"]))
        before = self._asked.get(pod)
        self._asked[pod] = at
        if before is None or (at - before).total_seconds() > RETRY_S:
            self.arrivals += 1
            self._burst.add(at)
            self._minute.add(at)

    def churn(self) -> Churn:
        """What was counted."""
        return Churn(
            arrivals=self.arrivals, granted=self.granted, freed=self.freed, burst=self._burst.count, burst_s=BURST_S, minute=self._minute.count,
            resting=self._rest.count, rest_s=self._rest_s, above=self._most_held - self._held, since=self.since, until=self.until, burst_at=self._burst.at,
        )
