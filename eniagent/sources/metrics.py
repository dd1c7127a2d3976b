"""ipamd's metrics, `:61678/metrics`: the series `awscni_*` and `process_*`.

Refuses a page of which one line cannot be read: a series that is absent means "never happened", so a lost line would be a lie.
Own parser of 30 lines: importing the Prometheus client's costs 60 ms of a command that has 600, and it renames counters that do not
end in `_total` (none of ipamd's do). Whole error texts in labels are cut down to EC2's code: they carry request ids.
Source: Prometheus text exposition format 0.0.4; amazon-vpc-cni-k8s v1.23.1, pkg/utils/prometheusmetrics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from eniagent.model.capture import Seen
from eniagent.model.cni import Metrics, Sample
from eniagent.model.probe import HttpGet, Probe
from eniagent.model.reading import Reading
from eniagent.sources import Span, environment
from eniagent.sources.captured import Malformed, reading, shown

SOURCE = "ipamd metrics"
FILE = "ipamd/metrics.txt"

_LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?[0-9]+)?\Z")
_LABEL = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|\Z)')
_VALUE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z|[+-]?(?:Inf|NaN)\Z")
_ESCAPE = re.compile(r"\\(.)")

_API_ERROR = re.compile(r"api error ([A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z0-9]*)*)")
_CODE = re.compile(r"(?:\A|[\s:])([A-Z][a-z]+[A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z0-9]*)*)(?=:|\Z)")

_UNPREFIXED = frozenset(
    (
        "add_ip_req_count",
        "assigned_ip_addresses",
        "aws_api_error_count",
        "aws_api_lantency_ms_count",
        "aws_api_lantency_ms_sum",
        "aws_utils_error_count",
        "del_ip_req_count",
        "eni_allocated",
        "eni_max",
        "ip_max",
        "ipamd_action_inprogress",
        "ipamd_error_count",
        "reconcile_count",
        "total_ip_addresses",
    )
)
"""Names as releases 1.0 to 1.3 print them, without `awscni_`."""


def plan(seen: Seen) -> Sequence[Probe]:
    """One scrape."""
    return () if FILE in seen else (HttpGet(file=FILE, service="metrics", path="/metrics"),)


def read(seen: Seen, span: Span) -> Reading[Metrics]:
    """The kept series. Disabled where the port refuses and ipamd's environment says that it should."""
    return environment.or_disabled(reading(seen, file=FILE, source=SOURCE, decode=decode), seen, switch="DISABLE_METRICS")


def decode(data: bytes) -> Metrics:
    """A whole page. Raises `Malformed`, also for a page that ends within a line or is another program's."""
    if not data.strip():
        raise Malformed("empty")
    if not data.endswith(b"\n"):
        raise Malformed("ends within a line")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 at byte {error.start}") from error
    # Keyed by name and raw labels: pages that a collector appended to one file keep the newest value.
    newest: dict[tuple[str, str], tuple[dict[str, str], float]] = {}
    for name, raw, labels, value in _lines(text):
        newest[(name, raw)] = (labels, value)
    merged: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for (name, _), (labels, value) in newest.items():
        if name == "awscni_aws_utils_error_count" and "error" in labels:
            labels = {**labels, "error": ec2_code(labels["error"])}
        key = (name, tuple(sorted(labels.items())))
        merged[key] = merged.get(key, 0.0) + value
    if not any(name.startswith("awscni_") for name, _ in merged):
        raise Malformed("no awscni_ series")
    return Metrics(samples=tuple(Sample(name=n, labels=dict(pairs), value=v) for (n, pairs), v in merged.items()))


def _lines(text: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or not _VALUE.match(match.group(3)):
            raise Malformed(f"line {number}: {shown(line.encode())!r}")
        name, raw, value = _current_name(match.group(1)), match.group(2) or "", float(match.group(3))
        # NaN is an empty summary quantile: there is nothing to keep, and no JSON for it.
        if name.startswith(("awscni_", "process_")) and math.isfinite(value):
            yield name, raw, _labels(raw, number=number), value


def _current_name(name: str) -> str:
    if name in _UNPREFIXED:
        name = f"awscni_{name}"
    return name.replace("awscni_aws_api_lantency_ms", "awscni_aws_api_latency_ms")


def _labels(raw: str, *, number: int) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while raw[position:].strip():
        match = _LABEL.match(raw, position)
        if match is None:
            raise Malformed(f"line {number}: labels {shown(raw.encode())!r}")
        labels[match.group(1)] = _ESCAPE.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1), match.group(2))
        position = match.end()
    return labels


def ec2_code(text: str) -> str:
    """EC2's error code within an SDK's error text, `other` where there is none."""
    match = _API_ERROR.search(text) or _CODE.search(text)
    return match.group(1) if match else "other"
