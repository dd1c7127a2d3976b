"""Turns pseudonyms in a text back into what they stand for, with the mapping of the node that made them.

Refuses to guess: what has the form of a pseudonym and is not in the mapping stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from eniagent.redact.identities import IDS

_H = "[0-9a-fA-F]{1,4}"
_FORM = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"cni-[0-9a-f]{8}(?:-[0-9a-f]{4}){1,3}(?:-[0-9a-f]{12})?|app-[0-9a-f]{6}-[0-9a-f]{12}|ns-[0-9a-f]{8}|(?:name|node)-[0-9a-f]{10}"
    rf"|(?:{IDS})-[0-9a-f]{{8,17}}|[0-9a-f]{{8}}(?:[-_][0-9a-f]{{4}}){{3}}[-_][0-9a-f]{{12}}|[0-9a-fA-F]{{64}}|[0-9a-fA-F]{{32}}"
    r"|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"
    rf"|(?:{_H}:){{7}}{_H}(?:/\d+)?|(?:{_H}(?::{_H})*)?::(?:{_H}(?::{_H})*)?(?:/\d+)?"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?|(?:ip-|ec2-)?\d{1,3}(?:-\d{1,3}){3}"
    r"|[a-z]{1,8}[0-9a-f]{11}|\d{12}|A[A-Z]{3}[A-Z0-9]{12,17}|[0-9a-f]{12,13}"
    r")(?![0-9A-Za-z])"
)


def revealed(text: str, mapping: Mapping[str, str]) -> str:
    """The text with every pseudonym that `mapping` knows turned back."""

    def original(found: re.Match[str]) -> str:
        word = found.group()
        if word in mapping:
            return mapping[word]
        address, slash, length = word.partition("/")
        return f"{mapping[address]}{slash}{length}" if slash and address in mapping else word

    return _FORM.sub(original, text)
