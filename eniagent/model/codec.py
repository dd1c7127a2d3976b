"""Struct <-> JSON for every model type. Law L1: `decode(encode(x)) == x`."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from eniagent.model.net import IPAddress, IPNetwork, parse_address, parse_network

T = TypeVar("T")


def to_builtin(value: Any) -> Any:
    """Encode hook: addresses and networks become their canonical text."""
    if isinstance(value, (IPAddress, IPNetwork)):  # type: ignore[arg-type]
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a model type")


def from_builtin(kind: Any, value: Any) -> Any:
    """Decode hook, the inverse of `to_builtin`. Raises `ValueError` on text that is no address."""
    if kind is IPAddress:
        return parse_address(value)
    if kind is IPNetwork:
        return parse_network(value)
    raise TypeError(f"{kind!r} is not a model type")


def encode(value: Any) -> bytes:
    """Any model value as one JSON document."""
    return msgspec.json.encode(value, enc_hook=to_builtin)


def decode(data: bytes, kind: type[T]) -> T:
    """The inverse of `encode`. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(data, type=kind, dec_hook=from_builtin)
