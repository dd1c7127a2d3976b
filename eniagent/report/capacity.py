"""Capacity as text, JSON and Markdown.

Refuses to compute: every figure printed stands in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import msgspec

from eniagent.case.capacity import Capacity, Count, Fit
from eniagent.model.codec import to_builtin
from eniagent.report import phrases
from eniagent.report.markdown import code, escaped
from eniagent.report.plain import plain

_HEADS = ("mode", "addresses", "pods by address", "policy cap", "maxPods", "")


def render(found: Capacity, *, format_name: str) -> bytes:
    """In `text`, `json` or `markdown`, ending in a newline. Raises `KeyError` on another word."""
    if format_name == "json":
        return msgspec.json.encode(found, enc_hook=to_builtin) + b"\n"
    lines = {"text": _text, "markdown": _markdown}[format_name](found)
    return "\n".join([*lines, ""]).encode("ascii")


def _limits(found: Capacity) -> str:
    told = found.limits
    cards = f", {len(told.enis_per_card)} network cards of which pods use number {told.default_card}" if len(told.enis_per_card) > 1 else ""
    kind = "bare metal" if told.bare_metal else "hypervisor unknown" if told.nitro is None else "Nitro" if told.nitro else "not Nitro"
    return f"{told.enis} ENIs of {told.ipv4_per_eni} IPv4 addresses each, the first of each its own{cards}; {told.vcpus} vCPUs; {kind}"


def _cells(count: Count) -> tuple[str, ...]:
    addresses = "no limit" if count.addresses is None else str(count.addresses)
    pods = "no limit" if count.pods is None else str(count.pods)
    marks = [text for text in ("this one" if count.chosen else "", count.note) if text]
    return (count.mode, addresses, pods, str(count.cap), str(count.max_pods), "; ".join(marks))


def _known(value: Optional[int]) -> str:
    return "?" if value is None else str(value)


def _cap(found: Capacity) -> str:
    return f"the caps are policy, not EC2's: {found.cap_policy}; applied to maxPods in prefix and IPv6 mode only"


def _sentences(found: Capacity) -> Iterator[tuple[str, list[str]]]:
    """Title and lines of each part after the table."""
    if found.present is not None:
        now = found.present
        more = "how many more pods fit is not known: not all that decides it was seen" if now.more is None else f"{now.more} more pods fit; then {now.held_by} ends it"
        yield "now", [
            f"ENIs attached {_known(now.enis)}; addresses held {_known(now.held)}, assigned {_known(now.assigned)}; "
            f"pods {_known(now.running_pods)}{f' ({now.running_origin})' if now.running_origin else ''}; kubelet's maxPods {_known(now.configured_max_pods)}",
            more,
        ]
    if found.churn is not None:
        seen = found.churn
        rate = f"{seen.arrivals / seen.minutes:.1f} and {seen.freed / seen.minutes:.1f} a minute" if seen.minutes >= 1 else "less than a minute"
        at = "" if seen.burst_at is None else f", at {phrases.moment(seen.burst_at)}"
        yield "churn", [
            f"{seen.arrivals} pods asked for an address and {seen.freed} addresses were freed from {phrases.moment(seen.since)} to {phrases.moment(seen.until)} ({rate})",
            f"at most {seen.minute} asked within a minute, {seen.burst} within {seen.burst_s:g} s{at}",
        ]
    if found.warm_targets is not None:
        wanted = found.warm_targets
        now_set = found.present.settings if found.present is not None else {}
        told = ", ".join(f"{name}={value} (now {_known(now_set.get(name))})" for name, value in wanted.settings.items())
        yield "recommended warm targets", [told, *wanted.arithmetic, f"set with: kubectl -n kube-system set env daemonset/aws-node {' '.join(f'{n}={v}' for n, v in wanted.settings.items())}"]
    elif found.why_no_targets:
        yield "recommended warm targets", [f"none: {found.why_no_targets}"]
    yield from _what_if(found)


def _what_if(found: Capacity) -> Iterator[tuple[str, list[str]]]:
    if found.what_if is None:
        return
    asked = found.what_if
    fits = f"they fit, with room for {asked.spare} more" if asked.spare >= 0 else f"{-asked.spare} too many for one {found.limits.type}"
    nodes = "no number of such nodes holds them" if asked.nodes is None else f"they take {asked.nodes} such node{'s' if asked.nodes > 1 else ''}"
    same = f"the smallest of the family that holds them on one node: {_fit(asked.family)}" if asked.family else "no type of the family holds them on one node"
    others = ", ".join(_fit(fit) for fit in asked.others)
    yield f"{asked.pods} pods, those on the host's network included", [
        f"{fits}; {nodes}", same, f"the smallest types of all: {others}" if others else "no type holds them on one node in this mode",
    ]


def _fit(fit: Fit) -> str:
    return f"{fit.type} ({fit.max_pods} pods, {fit.vcpus} vCPUs)"


def _text(found: Capacity) -> Iterator[str]:
    yield f"{plain(found.limits.type, limit=60)} ({plain(found.type_origin, limit=80)}): {_limits(found)}"
    rows = [_HEADS, *(_cells(count) for count in found.counts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) if column in (0, 5) else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
    yield _cap(found)
    for title, lines in _sentences(found):
        yield from ("", title, *(f"  {plain(line)}" for line in lines))
    yield from ("", f"limits: {plain(found.table)}")


def _markdown(found: Capacity) -> Iterator[str]:
    yield from (f"# Capacity of {escaped(found.limits.type)}", "", escaped(f"{found.type_origin}: {_limits(found)}"), "")
    yield "| mode | addresses | pods by address | policy cap | maxPods | note |"
    yield "|---|---:|---:|---:|---:|---|"
    yield from (f"| {' | '.join(escaped(cell) for cell in _cells(count))} |" for count in found.counts)
    yield from ("", escaped(_cap(found)))
    for title, lines in _sentences(found):
        yield from ("", f"## {escaped(title[:1].upper() + title[1:])}", "")
        yield from (f"- {code(line) if line.startswith('kubectl') else escaped(line)}" for line in lines)
    yield from ("", escaped(f"Limits: {found.table}"))
