"""Learns the names of a node: from typed readings, from texts that say what a name is, and from IMDS's tree.

What is learnt is replaced wherever it stands. Refuses to learn a plain word as a name for all places: `prod` or `error` would be
replaced in sentences and keys; such a name is replaced where the text says what it is, and beside its pod.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from eniagent.model.snapshot import NodeSnapshot
from eniagent.redact.contexts import CONTEXTS, LABEL, SCATTERED, UID
from eniagent.redact.identities import COMMON, FORM, IS_CONTEXT, REMEMBERED, ZONE, IdentityScrubber
from eniagent.redact.patterns import compiled
from eniagent.redact.pseudonyms import READABLE_NAMESPACES, is_plain_word
from eniagent.redact.walk import Visit, visit

_SCATTERED = tuple((kind, re.compile(pattern.encode())) for kind, pattern in SCATTERED)
SHORT = (12, 13)
"""How many digits of a container's id docker and crictl print."""
_POD_NS = re.compile(rf"([a-z0-9][a-z0-9.-]*)_({LABEL})\({UID}\)")
_NS_POD = re.compile(rf"({LABEL})_([a-z0-9][a-z0-9.-]*)_{UID}")
_PAIR = re.compile(rf"({LABEL}/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)")


class Learner:
    """Feeds an `IdentityScrubber` with names."""

    def __init__(self, scrubber: IdentityScrubber) -> None:
        self._scrubber, self.names = scrubber, scrubber.names
        self._pattern = compiled("|".join((*(p for _, p in SCATTERED), *(f"{c.before}{c.value}{c.after}" for c in CONTEXTS))))
        self._seen: set[bytes] = set()

    def snapshot(self, snapshot: NodeSnapshot) -> None:
        """All names that a snapshot holds, typed or in its texts."""
        self._settings(snapshot)
        texts: list[str] = []
        for seen in visit(snapshot):
            self._typed(seen, texts)
        self.text("\n".join(texts).encode("utf-8", "surrogateescape"))
        for key in ("name", "node_name"):
            self.node(snapshot.told.get(key, ""))

    def _typed(self, seen: Visit, texts: list[str]) -> None:
        if seen.kind == "PodName":
            self.pod(seen.value)
        elif seen.kind == "SandboxId":
            self.sandbox(seen.value)
        elif seen.kind == "text":
            texts.append(seen.value)
            if seen.field in ("node_name", "hostname"):
                self.node(seen.value)
            elif seen.field == "account_id":
                self.account(seen.value)
            elif seen.field == "eni_config":
                self.name(seen.value)
        elif seen.kind == "dict":
            texts += (f'{key}="{value}"' for key, value in seen.value.items() if isinstance(value, str))

    def _settings(self, snapshot: NodeSnapshot) -> None:
        for reading in (snapshot.environment, snapshot.settings):
            prefix = getattr(getattr(reading, "value", None), "values", {}).get("AWS_VPC_K8S_CNI_VETHPREFIX", "")
            if prefix and prefix not in self.names.veth_prefixes and re.fullmatch("[a-z0-9]{1,4}", prefix):
                self.names.veth_prefixes = (*self.names.veth_prefixes, prefix)

    def text(self, data: bytes) -> None:
        """All names that a text tells, in whole lines."""
        for found in self._pattern.finditer(data):
            place = found.group()
            if place not in self._seen:
                if len(self._seen) >= REMEMBERED:
                    self._seen.clear()
                self._seen.add(place)
                self._place(place)

    def _place(self, place: bytes) -> None:
        """What one place tells: several forms may read it, so each is asked."""
        for kind, form in _SCATTERED:
            if form.fullmatch(place):
                return self._from(kind, place.decode("latin-1"))
        for kind, context in IS_CONTEXT:
            found = context.fullmatch(place)
            if found is not None:
                self._of(kind, found.group(2).decode("latin-1"))

    def stream(self, blocks: Iterable[bytes]) -> None:
        """All names that blocks of whole lines tell."""
        for block in blocks:
            self.text(block)

    def imds(self, body: bytes) -> None:
        """Names in IMDS's tree, which only their keys tell: security groups, tags, keys, roles."""
        try:
            tree = msgspec.json.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return  # such a body is no reading either; its text is scrubbed like any other
        for key, entry in _answers(tree):
            if key.endswith(("/security-groups", "security-credentials/")) or key.startswith(("meta-data/tags/instance/", "meta-data/public-keys/")):
                for line in entry.splitlines():
                    self.name(line.partition("=")[2] or line)
            elif key.endswith("hostname"):
                self.node(entry)

    def _of(self, kind: str, value: str) -> None:
        learn = {"namespace": self.namespace, "pod": self.pod, "node": self.node, "name": self.name, "account": self.account}.get(kind)
        if learn is not None:
            learn(value)

    def _from(self, kind: str, text: str) -> None:
        if kind == "pods":
            for pair in _PAIR.findall(text):
                self.pod(pair)
        elif kind == "registry":
            self.account(text[:12])
        else:
            for found in (_POD_NS if kind == "pod_ns" else _NS_POD).finditer(text):
                name, namespace = found.groups() if kind == "pod_ns" else found.groups()[::-1]
                self.pod(f"{namespace}/{name}")

    def pod(self, text: str) -> None:
        """`namespace/name`, or a bare name."""
        namespace, slash, name = text.rpartition("/")
        if not name:
            return
        told = self.names.pod(text)
        if not is_plain_word(name) and not _unfit(name):
            self._scrubber.learn("pod", name, told.rpartition("/")[2])
        if slash:
            self.namespace(namespace)
            self._pair(namespace, name, told)

    def _pair(self, namespace: str, name: str, told: str) -> None:
        """Where a namespace or a name is a plain word, both together are unmistakable."""
        if not (is_plain_word(namespace) and namespace not in READABLE_NAMESPACES or is_plain_word(name) or _unfit(name)):
            return
        new_namespace, _, new_name = told.rpartition("/")
        for form in ("{0}/{1}", "{0}_{1}", "{1}_{0}", "{0}%2F{1}", "{0}.{1}", "{1}.{0}"):
            self._scrubber.learn("pod", form.format(namespace, name), form.format(new_namespace, new_name))

    def namespace(self, text: str) -> None:
        """A namespace; a plain word is learnt only for its DNS names."""
        if not text or text in COMMON:
            return
        told = self.names.namespace(text)
        if not is_plain_word(text):
            self._scrubber.learn("namespace", text, told)
        else:
            for tail in (".svc", ".pod"):
                self._scrubber.learn("namespace", text + tail, told + tail)

    def node(self, text: str) -> None:
        """A node's name, without its domain where that is EC2's."""
        if text and not _unfit(text) and len(text) > 3:
            self._scrubber.learn("node", text, self.names.node(text))

    def name(self, text: str) -> None:
        """A cluster, role, group or other chosen name."""
        if text and not _unfit(text) and not is_plain_word(text) and len(text) > 3:
            self._scrubber.learn("name", text, self.names.name(text))

    def account(self, text: str) -> None:
        """An account id."""
        if re.fullmatch("[0-9]{12}", text):
            self._scrubber.learn("account", text, self.names.account(text))

    def sandbox(self, text: str) -> None:
        """A sandbox's id also in the short forms that tools print."""
        told = self.names.hex_id(text)
        if re.fullmatch("[0-9a-f]{64}", text):
            for size in SHORT:
                self._scrubber.learn("hex", text[:size], told[:size])
        else:
            self._scrubber.learn("hex", text, told)


def _unfit(text: str) -> bool:
    """Whether a text in a name's place is no name, or has a pseudonym by its form."""
    return text in COMMON or text.isdigit() or bool(FORM.search(text) or ZONE.fullmatch(text))


def _answers(tree: Any) -> Iterator[tuple[str, str]]:
    for key, entry in tree.items() if isinstance(tree, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("body"), str) and entry.get("status") == 200:
            yield str(key), entry["body"]

