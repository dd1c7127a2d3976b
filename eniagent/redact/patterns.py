"""The patterns for secrets: one sieve over everything, and a closer look at the lines that it marks.

Compiled once for all streams, the closer look only when a line asks for it. Refuses patterns that need more than linear time.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import re2

from eniagent.redact import places
from eniagent.redact.secret_kinds import BOUND, FREE

KEY_WORDS = r"(?:[ +]|%20|[A-Z0-9])*PRIVATE(?:[ +]|%20)KEY(?:(?:[ +]|%20)BLOCK)?-----"
BEGIN = "-----BEGIN" + KEY_WORDS
SECRET_OBJECT = r"""(?i:\\*["']?kind\\*["']?\s*:\s*\\*["']?secret\b)"""
ESCAPED = "%[0-9A-Fa-f]{2}"


def compiled(pattern: str) -> Any:
    """A pattern over bytes, in linear time, with room for its automaton."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem, options.log_errors = 256 << 20, False
    return re2.compile(pattern.encode("latin-1"), options)


class Patterns:
    """All patterns, compiled once for all streams; those for a closer look only when a line is marked."""

    def __init__(self) -> None:
        heads = "|".join(head for _, head, _ in (*FREE, *BOUND))
        self.sieve = compiled("|".join((heads, ESCAPED, BEGIN, SECRET_OBJECT, places.BASE64, *(p for p, _ in places.PLACES))))

    @functools.cached_property
    def begin(self) -> Any:
        """The first line of a private key."""
        return compiled(BEGIN)

    @functools.cached_property
    def secret_object(self) -> Any:
        """A Kubernetes Secret."""
        return compiled(SECRET_OBJECT)

    @functools.cached_property
    def escaped(self) -> Any:
        """A character in URL encoding."""
        return compiled(ESCAPED)

    @functools.cached_property
    def base64(self) -> Any:
        """Base64 of what the other patterns look for."""
        return compiled(places.BASE64)

    @functools.cached_property
    def free_any(self) -> Any:
        """Any of the kinds that may stand anywhere."""
        return compiled("|".join(p for _, _, p in FREE))

    @functools.cached_property
    def free(self) -> list[tuple[str, Any]]:
        """Each of them."""
        return [(kind, compiled(p)) for kind, _, p in FREE]

    @functools.cached_property
    def bound(self) -> list[tuple[str, re.Pattern[bytes]]]:
        """The kinds that need an edge on either side; escapes and URL codes are edges."""
        before, after = rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))", rb"(?![A-Za-z0-9])"
        return [(kind, re.compile(before + p.encode() + after)) for kind, _, p in BOUND]

    @functools.cached_property
    def places(self) -> list[tuple[Any, places.Place]]:
        """The kinds that their place tells."""
        return [(compiled(p), find) for p, find in places.PLACES]


@functools.lru_cache(maxsize=1)
def patterns() -> Patterns:
    return Patterns()
