"""All signatures, and the scan that finds them: one combined pattern per program, named fields read only where it hits.

Refuses to parse frames (journal prefixes, JSON, klog heads): the sources hand in the message itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple, Optional

from eniagent.knowledge.signature import Role, Signature
from eniagent.knowledge.signatures_failure import FAILURE, OTHER_FAILURE
from eniagent.knowledge.signatures_ipamd import IPAMD
from eniagent.knowledge.signatures_node import NODE
from eniagent.knowledge.signatures_other import FALLBACKS, OTHERS

LINES: tuple[Signature, ...] = (*IPAMD, *NODE, *OTHERS)
SIGNATURES: tuple[Signature, ...] = (*LINES, *FAILURE, *FALLBACKS)
BY_ID: dict[str, Signature] = {s.id: s for s in SIGNATURES}
_OURS = re.compile(r"add c(?:m|omman)d:|del cmd:|aws-cni|aws-node|ipamd|\beni[-s]|vpc|50051", re.IGNORECASE)


class Match(NamedTuple):
    """The signature that names a message, and the fields in it (only those that are present)."""

    signature: Signature
    fields: dict[str, str]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@functools.cache
def of_program(program: str) -> tuple[Signature, ...]:
    """The signatures of one program, in order of precedence. Failure texts are not among them: see `classify_failure`."""
    return tuple(s for s in LINES if program in s.programs)


@functools.cache
def prefilter(program: str) -> str:
    """One RE2 alternation that hits every message some signature of the program names (and perhaps a few more), routine noise apart."""
    return _alternation(s for s in of_program(program) if s.role is not Role.NOISE)


def _alternation(chosen: Iterable[Signature]) -> str:
    return "|".join(f"(?:{re.sub(r'[?]P<[^>]+>', '?:', s.pattern)})" for s in chosen)


@functools.cache
def _any_of(program: str) -> re.Pattern[str]:
    return re.compile(_alternation(of_program(program)))


def match_of(signature: Signature, text: str) -> Optional[Match]:
    """The match of one signature, None where it does not match."""
    found = _compiled(signature.pattern).search(text)
    return Match(signature, {k: v for k, v in found.groupdict().items() if v is not None}) if found else None


def scan_line(program: str, text: str) -> Optional[Match]:
    """The first signature of `program` that matches `text`, None where none does."""
    if not of_program(program) or not _any_of(program).search(text):
        return None
    return next((m for m in (match_of(signature, text) for signature in of_program(program)) if m), None)


@functools.lru_cache(maxsize=4096)
def classify_failure(text: str) -> str:
    """The id of the signature that names the inner error of a failed sandbox; `OTHER_FAILURE` where none does."""
    for signature in FAILURE:
        if _compiled(signature.pattern).search(text):
            return signature.id
    return OTHER_FAILURE


def is_foreign(inner: str) -> bool:
    """Whether a whole inner error that no signature names carries none of the VPC CNI's own words: every text of its plugin does."""
    return not _OURS.search(inner)


def failure_fields(signature_id: str, text: str) -> dict[str, str]:
    """The named fields of a failure text."""
    if signature_id not in BY_ID:
        return {}
    found = _compiled(BY_ID[signature_id].pattern).search(text)
    return {k: v for k, v in found.groupdict().items() if v is not None} if found else {}


def concerns_address(signature_id: str) -> bool:
    """Whether a failed sandbox of this signature failed for want of an address or its set-up by the VPC CNI."""
    signature = BY_ID.get(signature_id)
    return signature is not None and signature.means != "not-ip-related"


__all__ = ["BY_ID", "OTHER_FAILURE", "SIGNATURES", "Match", "Role", "Signature", "classify_failure", "scan_line"]
