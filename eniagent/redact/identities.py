"""Replaces identities in text: addresses, MACs, ids, ARNs, host names and UIDs by their form, names by a dictionary and by their context.

One automaton finds candidates; what each is, is decided from its bytes and its neighbours, and remembered.
Refuses to guess at names: a name that nothing has told stays, so whoever redacts a whole bundle learns from all of it first.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import Any, Callable, Optional

from eniagent.redact.contexts import CONTEXTS
from eniagent.redact.patterns import compiled
from eniagent.redact.pseudonyms import READABLE_ACCOUNTS, READABLE_NAMES, Pseudonyms

IDS = (
    "eni-attach|eni|i|subnet|sgr|sg|vpc|vpce|vol|ami|rtbassoc|rtb|acl|aclassoc|eipalloc|eipassoc|igw|eigw|nat|pcx|tgw-attach|tgw|lt|r|snap|fsap|fs|dopt|cgw|vgw|pl|h|cr|"
    "cidr-reservation|scr|aki|ari|export|import|lni|ipam-pool|ipam-scope|ipam|vpc-cidr-assoc|subnet-cidr-assoc|fl|mi|pg|key|trail"
)
_ARN = r"arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9]{12}:[A-Za-z0-9+=,.@_/:*-]+"
_HOST_IP = r"(?:ip-|ec2-)?[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}"
_V4 = r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:/[0-9]{1,2})?"
_H = "[0-9A-Fa-f]{1,4}"
_V6 = rf"(?:(?:{_H}:){{7}}{_H}|(?:{_H}(?::{_H}){{0,6}})?::(?:{_H}(?::{_H}){{0,6}})?)(?:\.[0-9]{{1,3}}\.[0-9]{{1,3}}\.[0-9]{{1,3}})?(?:/[0-9]{{1,3}})?"
_MAC = r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:%3[Aa][0-9A-Fa-f]{2}){5}"
_ID = rf"(?:{IDS})-[0-9a-f]{{8,17}}"
_UID = "[-_]".join(f"[0-9a-f]{{{size}}}" for size in (8, 4, 4, 4, 12))
_HEX = rf"{_UID}|cni-[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{1,3}}(?:-[0-9a-f]{{12}})?|[0-9a-f]{{64}}|[0-9a-f]{{32}}|[0-9A-F]{{32}}"
_UNIQUE = r"A(?:IPA|ROA|IDA|NPA|GPA|SCA)[A-Z0-9]{12,24}"

IS_CONTEXT = tuple((c.kind, re.compile(f"({c.before})({c.value}){c.after}".encode(), re.S)) for c in CONTEXTS)
_IS_MAC, _IS_ID = re.compile(_MAC), re.compile(rf"(?:{IDS})-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})")
_IS_V6 = re.compile(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(/\d+)?")
_IS_HOST = re.compile(_HOST_IP)
_IS_LINK = re.compile("[0-9a-f]{11}")
_IS_UNIQUE, _IS_UID, _IS_HEX = re.compile(_UNIQUE), re.compile(_UID), re.compile("[0-9a-f]{64}|[0-9a-f]{32}|[0-9A-F]{32}")
ZONE = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|cn|mx)(?:-gov|-iso[a-z]?)?-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-[0-9](?:[a-z]|-[a-z0-9-]+)?")
_IS_V4 = re.compile(r"[0-9.]+(/\d+)?")
_LEADS = re.compile(rb"(?:\\[nrtbf]|%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|[^A-Za-z0-9]pod)$")
"""What may stand before an identity without a gap: an escape, a character in URL encoding, the `pod` of a cgroup's name."""
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


REMEMBERED = 50_000
"""Candidates whose pseudonyms are kept at hand; gigabytes of logs hold millions of request ids, each of them once."""


class IdentityScrubber:
    """Replaces identities in bytes. `counts`: kind -> how many were replaced."""

    def __init__(self, names: Pseudonyms) -> None:
        self.names = names
        self.counts: Counter[str] = Counter()
        self._words: dict[bytes, tuple[str, bytes]] = {}
        self._known: dict[bytes, Optional[tuple[str, bytes]]] = {}
        self._pattern: Any = None

    def learn(self, kind: str, original: str, pseudonym: str) -> bool:
        """A name that is replaced wherever it stands by itself. Returns whether it was new."""
        data = original.encode("utf-8", "surrogateescape")
        if original == pseudonym or data in self._words:
            return False
        self._words[data] = (kind, pseudonym.encode("utf-8", "surrogateescape"))
        self._pattern = None
        return True

    def block(self, data: bytes) -> bytes:
        """Whole lines, with every identity replaced."""
        pattern = self._compiled()
        pieces: list[bytes] = []
        kept, at, more = 0, 0, True
        while more:
            more = False
            for found in pattern.finditer(data, at):
                start, end = found.span()
                told = self._told(data, start, end)
                if told is None:
                    at, more = start + 1, True  # something else may begin inside what was none
                    break
                kind, text = told
                if text != data[start:end]:
                    pieces += (data[kept:start], text)
                    kept = end
                    self.counts[kind] += 1
        return b"".join((*pieces, data[kept:])) if pieces else data

    def _compiled(self) -> Any:
        if self._pattern is None:
            words = "|".join(re.escape(w.decode("latin-1")) for w in sorted(self._words, key=len, reverse=True))
            veth = "|".join(re.escape(p) for p in self.names.veth_prefixes)
            contexts = [f"{c.before}{c.value}{c.after}" for c in CONTEXTS if c.kind != "account"]
            # Forms that are long and whole come before words, for a word may be the short form of such an id.
            forms = [_ARN, _HEX, *([words] if words else []), *contexts, _HOST_IP, f"(?:{veth})[0-9a-f]{{11}}", _ID, _MAC, _V6, _V4, _UNIQUE]
            self._pattern = compiled("|".join(forms))
            self._known.clear()
        return self._pattern

    def _told(self, data: bytes, start: int, end: int) -> Optional[tuple[str, bytes]]:
        """What stands in a candidate's place; None where it is no identity."""
        text = data[start:end]
        if text not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = self._identify(text)
        told = self._known[text]
        if told is None or told[0].startswith("in "):
            return told
        alone = _HEX_DIGITS if told[0] in ("mac", "ipv6", "uid") else _ALNUM
        if end < len(data) and data[end] in alone:
            return None
        if start and data[start - 1] in alone and not _LEADS.search(data, max(0, start - 6), start):
            return None
        if told[0] == "hex" and data[max(0, start - 7) : start] == b"sha256:":
            return None  # an image's digest, which names no one
        return told

    def _identify(self, data: bytes) -> Optional[tuple[str, bytes]]:
        word = self._words.get(data)
        if word is not None:
            return word
        text = data.decode("latin-1")
        kind, find = self._form(text)
        if find is None:
            return self._in_context(data)
        try:
            return kind, find(text).encode("latin-1")
        except ValueError:
            return None

    def _form(self, text: str) -> tuple[str, Optional[Callable[[str], str]]]:
        """What a candidate is by its form, and what finds its pseudonym."""
        names = self.names
        if text.startswith("arn:"):
            return "arn", self._arn
        if len(text) > 11 and text[:-11] in names.veth_prefixes and _IS_LINK.fullmatch(text[-11:]):
            return "veth", names.veth
        if text.startswith("cni-"):
            return "uid", names.netns
        for kind, form, find in (
            ("host", _IS_HOST, names.host), ("aws-id", _IS_ID, names.aws_id), ("mac", _IS_MAC, self._mac), ("ipv4", _IS_V4, self._ip),
            ("ipv6", _IS_V6, self._ip), ("unique-id", _IS_UNIQUE, names.unique_id), ("uid", _IS_UID, names.hex_id), ("hex", _IS_HEX, names.hex_id),
        ):
            if form.fullmatch(text):
                return kind, find
        return "", None

    def _mac(self, text: str) -> str:
        divider = text[2:5] if "%" in text else ""
        return self.names.mac(text.replace(divider, ":")).replace(":", divider) if divider else self.names.mac(text)

    def _ip(self, text: str) -> str:
        """An address, a CIDR, or an address with its network's length. Raises `ValueError` where it is none."""
        address, slash, length = text.partition("/")
        ip = ipaddress.ip_address(address)
        told = self.names.address(ip)
        if slash and (net := ipaddress.ip_interface(text).network).network_address == ip:
            told = self.names.network(net).network_address
        return text if told == ip else f"{told}{slash}{length}"

    def _arn(self, text: str) -> str:
        """The account and the resource's names; partition, service, region and the resource's type stay."""
        *head, account, resource = text.split(":", 5)
        tail = ""
        while resource and resource[-1] in ".,:*":
            resource, tail = resource[:-1], resource[-1] + tail
        parts = re.split("([/:])", resource)
        first = 1 if len(parts) > 1 else 0
        told = [part if i < first or part in "/:*" or part == "aws-service-role" else self._resource(part) for i, part in enumerate(parts)]
        return ":".join((*head, self.names.account(account), "".join(told) + tail))

    def _resource(self, part: str) -> str:
        if self._words.get(part.encode("latin-1")) is not None or FORM.search(part) or _IS_HEX.fullmatch(part):
            return self._nested(part)
        return self.names.name(part)

    def _nested(self, text: str) -> str:
        """A text that holds forms or words of its own. The counts of the whole stay one."""
        counts = self.counts.copy()
        told = self.block(text.encode("latin-1")).decode("latin-1")
        self.counts = counts
        return told

    def _in_context(self, data: bytes) -> Optional[tuple[str, bytes]]:
        for kind, pattern in IS_CONTEXT:
            found = pattern.fullmatch(data)
            if found is not None and kind != "account":
                value = found.group(2).decode("latin-1")
                return f"in {kind}", found.group(1) + self._named(kind, value).encode("latin-1") + data[found.end(2) :]
        return None

    def _named(self, kind: str, value: str) -> str:
        """A name by its kind. What is an address, an id or a known name keeps the pseudonym that it has elsewhere."""
        if value in COMMON or ZONE.fullmatch(value) or value.isdigit():
            return value
        if kind == "namespace":
            return self.names.namespace(value)
        if kind == "service":
            namespace, _, name = value.partition("/")
            return value if value == "default/kubernetes" else f"{self.names.namespace(namespace)}/{self.names.name(name)}"
        if kind == "image":
            return value if PUBLIC_IMAGE.match(value) else self.names.name(value)
        if value.encode("latin-1") in self._words or FORM.search(value):
            return self._nested(value)
        return {"pod": self.names.pod, "node": self.names.node, "name": self.names.name}[kind](value)


FORM = re.compile(rf"{_HOST_IP}|{_ID}|{_V4}")
PUBLIC_IMAGE = re.compile(rf"(?:(?:{'|'.join(sorted(READABLE_ACCOUNTS))})\.dkr\.ecr\.|public\.ecr\.aws/|registry\.k8s\.io/|k8s\.gcr\.io/|docker\.io/library/|sha256:)")
"""Images that everybody may know: EKS's own, Kubernetes', and digests."""
COMMON = frozenset((*READABLE_NAMES, "owned", "shared", "true", "false", "null", "none", "nil", "localhost", "default", "node", "host", "unknown", "failed", "error"))
"""Words that are no names even where a name is expected."""

