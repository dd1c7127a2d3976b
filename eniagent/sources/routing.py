"""Policy rules and routes of both families, from `ip -j rule` and `ip -j route show table all`.

Refuses to take a part that was not seen for an empty one: `incomplete` names it with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional, TypeVar

from eniagent.model.capture import Seen
from eniagent.model.host import Route, Routing, Rule
from eniagent.model.net import IPAddress, IPNetwork, parse_address, parse_network
from eniagent.model.probe import Probe, RunCommand
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, as_text, json_value, list_of, object_of, reading

T = TypeVar("T")

SOURCE = "kernel rules and routes"

RULES = {4: "host/ip-rule.json", 6: "host/ip6-rule.json"}
ROUTES = {4: "host/ip-route.json", 6: "host/ip6-route.json"}

_TABLES = {"253": "default", "254": "main", "255": "local"}


def plan(seen: Seen) -> Sequence[Probe]:
    """Four commands: rules and routes of each family."""
    looks: list[tuple[str, tuple[str, ...]]] = [(RULES[v], ("ip", f"-{v}", "-j", "rule", "show")) for v in (4, 6)]
    looks += [(ROUTES[v], ("ip", f"-{v}", "-j", "route", "show", "table", "all")) for v in (4, 6)]
    return tuple(RunCommand(file=file, argvs=(argv,)) for file, argv in looks if file not in seen)


def read(seen: Seen, span: Span) -> Reading[Routing]:
    """What was seen of the four. Unobserved only where all four are."""
    rules = {v: reading(seen, file=RULES[v], source=SOURCE, decode=decode_rules) for v in (4, 6)}
    routes = {v: reading(seen, file=ROUTES[v], source=SOURCE, decode=_of_family(v)) for v in (4, 6)}
    looks: list[tuple[str, Reading[Any]]] = [
        ("ipv4 rules", rules[4]),
        ("ipv4 routes", routes[4]),
        ("ipv6 rules", rules[6]),
        ("ipv6 routes", routes[6]),
    ]
    seen_parts = [found for _, found in looks if isinstance(found, Observed)]
    missing = [(name, found) for name, found in looks if isinstance(found, Unobserved)]
    if not seen_parts:
        # A look that was tried says more than one that nobody took.
        return min((found for _, found in missing), key=lambda found: found.why is Why.NOT_COLLECTED)
    return Observed(
        value=Routing(
            rules=_joined(rules),
            routes=_joined(routes),
            incomplete=tuple(f"{name}: {f.why.value}" + (f" ({f.detail})" if f.detail else "") for name, f in missing),
        ),
        source=SOURCE,
        at=min((found.at for found in seen_parts if found.at is not None), default=None),
    )


def _joined(parts: dict[int, Reading[tuple[T, ...]]]) -> tuple[T, ...]:
    return tuple(item for version in (4, 6) for item in _items(parts[version]))


def _items(part: Reading[tuple[T, ...]]) -> tuple[T, ...]:
    return part.value if isinstance(part, Observed) else ()


def _objects(data: bytes, *, what: str) -> Iterator[dict[str, Any]]:
    """Entries of one array; `ip` prints `{}` for an entry that it left out."""
    for item in list_of(json_value(data), what=what):
        if item != {}:
            yield object_of(item, what=what)


def decode_rules(data: bytes) -> tuple[Rule, ...]:
    """The array of `ip -j rule`. Raises `Malformed`, also when it is empty: the kernel's own rules are always there."""
    rules = tuple(_rule(item) for item in _objects(data, what="rule"))
    if not rules:
        raise Malformed("no rule, not even the kernel's own")
    return rules


def _rule(item: dict[str, Any]) -> Rule:
    priority = item.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority < 1 << 32:
        raise Malformed(f"rule priority {as_text(priority)[:40]!r}")
    mark, mask = as_text(item.get("fwmark")), as_text(item.get("fwmask"))
    return Rule(
        priority=priority,
        table=_table(item.get("table"), default=""),
        src=_selector(item, "src"),
        dst=_selector(item, "dst"),
        fwmark=f"{mark}/{mask}" if mark and mask else mark,
        iif=as_text(item.get("iif")),
        inverted="not" in item and item["not"] is not False,
    )


def _selector(item: dict[str, Any], side: str) -> Optional[IPNetwork]:
    """`src: 10.0.0.0, srclen: 16`; without a length one address; absent or `all` is None."""
    value = item.get(side, "all")
    if value in ("all", "default"):
        return None
    length = item.get(f"{side}len")
    return _parsed(as_text(value) + (f"/{as_text(length)}" if length is not None else ""), parse_network, what=f"rule {side}")


def _table(value: Any, *, default: str) -> str:
    text = as_text(value) or default
    return _TABLES.get(text, text)


def _parsed(text: str, parse: Callable[[str], T], *, what: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise Malformed(f"{what}: {text[:60]!r}") from error


def _of_family(version: int) -> Callable[[bytes], tuple[Route, ...]]:
    """`ip route show table all` prints both families unless told otherwise: each file gives its own."""

    def decode(data: bytes) -> tuple[Route, ...]:
        routes = tuple(r for item in _objects(data, what="route") for r in _routes(item) if _version(r, item=item) == version)
        if version == 4 and not routes:
            # The kernel's own table `local` is never empty; IPv6 may be switched off.
            raise Malformed("no route, not even the kernel's own")
        return routes

    return decode


def _version(route: Route, *, item: dict[str, Any]) -> int:
    for told in (route.dst, route.gateway):
        if told is not None:
            return told.version
    # A default route through a link alone: only IPv6 routes have a preference.
    return 6 if "pref" in item else 4


def _routes(item: dict[str, Any]) -> Iterator[Route]:
    """One route, or one for each next hop."""
    hops = item.get("nexthops")
    if isinstance(hops, list) and hops:
        for hop in hops:
            yield _route({**item, **object_of(hop, what="next hop")})
    else:
        yield _route(item)


def _route(item: dict[str, Any]) -> Route:
    dst, gateway = item.get("dst"), _gateway(item)
    if not isinstance(dst, str):
        raise Malformed("a route without a destination")
    return Route(
        table=_table(item.get("table"), default="main"),
        device=as_text(item.get("dev")),
        dst=None if dst == "default" else _parsed(dst, parse_network, what="route"),
        gateway=gateway,
        kind=as_text(item.get("type")) or "unicast",
    )


def _gateway(item: dict[str, Any]) -> Optional[IPAddress]:
    value = item.get("gateway")
    if value is None and isinstance(item.get("via"), dict):
        value = item["via"].get("host")
    return None if value is None else _parsed(as_text(value), parse_address, what="gateway")
