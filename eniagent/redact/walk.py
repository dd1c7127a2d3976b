"""Walks model values by their declared types, so that each value is known for what it is: an address, a pod's name, a text.

Refuses to overlook: a string without a type of its own is a text, and a value of an undeclared kind raises.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Callable, NamedTuple, Optional, Union, get_args, get_origin, get_type_hints

import msgspec

from eniagent.model.net import IPAddress, IPNetwork

CODES = frozenset(("signature", "signatures", "counts", "program", "code", "kind", "severity", "explains", "decides", "why", "schema", "agent", "where", "effect", "reference"))
"""Fields that hold our own words or a closed set of the node's, never an identity."""
_PLAIN = (int, float, bool, type(None), datetime, enum.Enum, bytes)


class Visit(NamedTuple):
    """One value: its kind (a NewType's name, `address`, `network`, `text` or `dict`) and the field that holds it."""

    kind: str
    field: str
    value: Any


Change = Callable[[Visit], Any]


@functools.cache
def _hints(struct: type) -> dict[str, Any]:
    return get_type_hints(struct)


def change(value: Any, by: Change, *, hint: Any = None, field: str = "") -> Any:
    """The same value with every string, address and network replaced by what `by` says."""
    if isinstance(value, msgspec.Struct):
        hints = _hints(type(value))
        fresh = {n: change(getattr(value, n), by, hint=hints[n], field=n) for n in value.__struct_fields__ if n not in CODES}
        return msgspec.structs.replace(value, **{n: v for n, v in fresh.items() if v is not getattr(value, n)})
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return by(Visit(_named(hint), field, value))
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, IPAddress):  # type: ignore[arg-type]
        return by(Visit("address", field, value))
    if isinstance(value, IPNetwork):  # type: ignore[arg-type]
        return by(Visit("network", field, value))
    if isinstance(value, dict):
        return by(Visit("dict", field, value))
    if isinstance(value, (tuple, list)):
        inner = _item(hint)
        return type(value)(change(item, by, hint=inner, field=field) for item in value)
    raise TypeError(f"{field}: {type(value).__name__} is no kind of model value")


def visit(value: Any) -> Iterator[Visit]:
    """Every string, address, network and dictionary in a value, codes left out."""
    seen: list[Visit] = []

    def note(one: Visit) -> Any:
        seen.append(one)
        return one.value

    change(value, note)
    return iter(seen)


def _item(hint: Any) -> Any:
    """The declared type of a tuple's items; a reading's value keeps its declaration."""
    for option in _options(hint):
        if get_origin(option) in (tuple, list):
            return get_args(option)[0]
    return None


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is Union else (hint,)


def _named(hint: Any) -> str:
    """A NewType's name, `text` for a plain string."""
    for option in _options(hint):
        name: Optional[str] = getattr(option, "__name__", None) if hasattr(option, "__supertype__") else None
        if name:
            return name
    return "text"


__all__ = ["CODES", "Visit", "change", "visit"]
