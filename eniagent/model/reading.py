"""Reading[T]: what one look at one source gave, or why it gave nothing.

Refuses `None`, `{}` and 0 as answers: unknown is a type of its own.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Generic, Optional, TypeVar, Union

import msgspec

T = TypeVar("T")


class Why(enum.Enum):
    """The closed list of reasons for not having seen a source."""

    REFUSED = "refused"
    TIMED_OUT = "timed out"
    FORBIDDEN = "forbidden"
    DISABLED = "disabled"
    MALFORMED = "malformed"
    NOT_INSTALLED = "not installed"
    NOT_COLLECTED = "not collected"
    TRUNCATED = "truncated"


class Observed(msgspec.Struct, Generic[T], frozen=True, tag="observed"):
    """A source that answered. `source` says where (endpoint, path, command), `at` when."""

    value: T
    source: str
    at: Optional[datetime] = None


class Unobserved(msgspec.Struct, frozen=True, tag="unobserved"):
    """A source that did not answer. `detail` is for people: the error, the status, the missing right."""

    why: Why
    source: str
    at: Optional[datetime] = None
    detail: str = ""


Reading = Union[Observed[T], Unobserved]


def not_collected(source: str) -> Unobserved:
    """The reading of a source at which nobody looked."""
    return Unobserved(why=Why.NOT_COLLECTED, source=source)
