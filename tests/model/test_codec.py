"""Law L1: what is written is what is read, for every type of the model, found by itself."""

from __future__ import annotations

import enum
import importlib
import ipaddress
import pkgutil
import typing
from datetime import datetime, timezone
from typing import Any, Union

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eniagent.model
from eniagent.model.codec import decode, encode, to_builtin
from eniagent.model.net import IPAddress, IPNetwork
from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
INTEGERS = st.integers(-(1 << 53), 1 << 53)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: INTEGERS,
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    bytes: st.binary(max_size=12),
    datetime: st.datetimes(timezones=st.just(timezone.utc)),
    IPAddress: st.ip_addresses(),
    IPNetwork: st.builds(
        lambda ip, bits: ipaddress.ip_network((ip, min(bits, ip.max_prefixlen)), strict=False), st.ip_addresses(), st.integers(0, 128)
    ),
    Any: st.one_of(TEXT, INTEGERS, st.booleans(), st.none()),
}


def structs() -> list[type[Any]]:
    """Every Struct that a module of the model defines."""
    found = []
    for module_info in pkgutil.iter_modules(eniagent.model.__path__):
        module = importlib.import_module(f"eniagent.model.{module_info.name}")
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
        ]
    return found


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the model."""
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union:
        return st.one_of(*map(values_of, arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
        return st.tuples(*map(values_of, arguments))
    if origin is dict:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if origin is Observed:
        return st.builds(Observed, value=values_of(arguments[0]), source=TEXT, at=values_of(typing.Optional[datetime]))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in msgspec.structs.fields(kind)})
    raise TypeError(f"no strategy for {kind!r}: a new kind of field needs one")


def concrete(kind: type[Any]) -> Any:
    """The generic reading as it is used; every other type as it is."""
    return Observed[tuple[str, ...]] if kind is Observed else kind


@pytest.mark.parametrize("kind", structs(), ids=lambda kind: kind.__name__)
def test_decode_inverts_encode(kind: type[Any]) -> None:
    """decode(encode(x)) == x for every instance of every struct."""

    @settings(max_examples=8 if kind is NodeSnapshot else 40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values_of(concrete(kind)))
    def holds(value: Any) -> None:
        assert decode(encode(value), concrete(kind)) == value

    holds()


def test_the_enumeration_finds_the_model() -> None:
    """A test over nothing would prove nothing: the snapshot and every reading in it are among the types."""
    names = {kind.__name__ for kind in structs()}
    assert {"NodeSnapshot", "Case", "Ipam", "Metadata", "Diagnosis", "Journal", "Circumstances", "HttpGet"} <= names
    assert len(names) > 50


@pytest.mark.parametrize("field", [f.name for f in msgspec.structs.fields(NodeSnapshot) if f.name not in ("taken_at",)])
def test_an_older_record_lacks_a_field(field: str) -> None:
    """A record that lacks a field decodes it as its default, which is *not collected* for every reading."""
    empty = NodeSnapshot(taken_at=datetime(2026, 3, 1, tzinfo=timezone.utc))
    document = msgspec.json.decode(encode(empty))
    del document[field]
    assert decode(msgspec.json.encode(document), NodeSnapshot) == empty


def test_a_foreign_type_is_refused() -> None:
    """What is no model type is not written as something else."""
    with pytest.raises(TypeError):
        to_builtin(object())
