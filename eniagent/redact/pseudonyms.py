"""Pseudonyms: one keyed, consistent name for each identity of a node, and the mapping back.

What is public knowledge stays readable: add-ons of EKS, namespaces that every cluster has, EKS's own registries.
Refuses two identities under one name: the second one raises, and what held it is then left out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from eniagent.case.kernel import veth_name
from eniagent.redact.addresses import Address, Addresses, Network
from eniagent.redact.permute import Secret

READABLE_NAMESPACES = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
READABLE_WORKLOADS = ("aws-node", "coredns", "kube-proxy")
READABLE_NAMES = frozenset((
    *READABLE_WORKLOADS, "aws-vpc-cni-init", "aws-eks-nodeagent", "aws-network-policy-agent", "eks-pod-identity-agent", "ebs-plugin", "efs-plugin",
    "node-driver-registrar", "liveness-probe", "POD",
))
"""Containers of EKS's add-ons."""
READABLE_ACCOUNTS = frozenset((
    "602401143452", "800184023465", "877085696533", "558608220178", "590381155156", "759879836304", "900612956339", "296578399912",
    "066635153087", "908253389112", "900889452093", "918309763551", "961992271922", "151742754352", "013241004608", "491585149902",
    "121268973566", "455263428931", "080407600930", "730335286997", "602401143452",
))
"""Accounts of the registries that EKS's own images come from. Source: EKS user guide, *View Amazon container image registries*."""
VETH_PREFIXES = ("eni", "vlan", "dummy")
"""What the plugin puts before a pod's hash: host veth, branch ENI's link, the dummy link of its reply. Source: cni.go."""
CARDS = 3
"""Links of further network cards are named after `<pod>.<index>`; this many are known beforehand."""

_WORKLOAD = re.compile(r"(.+?)(?:-[0-9a-f]{6,10})?-[0-9a-z]{3,10}")
_PLAIN_WORD = re.compile(r"[A-Za-z]+")
_HEX = re.compile(r"[0-9a-fA-F_-]+")
_NODE_IP = re.compile(r"(ip-|ec2-)?(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})")


PERMUTED = ("ip", "net", "mac", "id", "hex", "account", "veth", "host")
MOST = 200_000
"""Identities that the mapping holds; beyond it, those whose pseudonym is a permutation are no longer written down."""


class Collision(Exception):
    """Two identities would get one name."""


class Pseudonyms:
    """All pseudonyms under one key. `mapping`: pseudonym -> original, of all that were given so far, less `unmapped`."""

    def __init__(self, key: bytes, *, services: Iterable[Network] = (), networks: Iterable[Network] = ()) -> None:
        self._secret = Secret(key)
        self._addresses = Addresses(self._secret, services=services, networks=networks)
        self._given: dict[tuple[str, str], str] = {}
        self._veths: dict[str, str] = {}
        self.veth_prefixes: tuple[str, ...] = VETH_PREFIXES
        self.mapping: dict[str, str] = {}
        self.unmapped = 0

    def _give(self, kind: str, original: str, pseudonym: str) -> str:
        """Remember a pseudonym. Raises `Collision`."""
        if len(self._given) >= MOST and kind in PERMUTED:
            # What is permuted is found again by its key, and cannot collide; only names need their first pseudonym kept.
            self.unmapped += 1
            return pseudonym
        if pseudonym != original and self.mapping.setdefault(pseudonym, original) != original:
            raise Collision(f"two of kind {kind} share a pseudonym")
        self._given[kind, original] = pseudonym
        return pseudonym

    def address(self, ip: Address) -> Address:
        """An IP address."""
        told = self._addresses.address(ip)
        if ("ip", str(ip)) not in self._given:
            self._give("ip", str(ip), str(told))
        return told

    def network(self, net: Network) -> Network:
        """A CIDR: `10.0.1.0/28`, also a single address as /32."""
        told = self._addresses.network(net)
        if ("net", str(net)) not in self._given:
            self._give("net", str(net), str(told))
        return told

    def mac(self, text: str) -> str:
        """A MAC address."""
        known = self._given.get(("mac", text))
        return known if known is not None else self._give("mac", text, self._addresses.mac(text))

    def aws_id(self, text: str) -> str:
        """`eni-0123456789abcdef0` and its like: prefix, length and the leading 0 of long ids stay."""
        known = self._given.get(("id", text))
        if known is not None:
            return known
        prefix, _, digits = text.rpartition("-")
        kept = 1 if len(digits) % 2 else 0
        return self._give("id", text, f"{prefix}-{digits[:kept]}{self._secret.permuted_hex('aws id ' + prefix, digits[kept:])}")

    def hex_id(self, text: str) -> str:
        """A sandbox, container, machine or pod UID: hex digits, also with dashes."""
        known = self._given.get(("hex", text))
        if known is not None:
            return known
        if not _HEX.fullmatch(text):
            return self._give("hex", text, self._secret.word("opaque id", text, digits=32))
        return self._give("hex", text, self._secret.permuted_hex("hex", text))

    def netns(self, text: str) -> str:
        """A pod's network namespace: `cni-` and a UUID, which some runtimes make from the sandbox's id."""
        known = self._given.get(("hex", text))
        return known if known is not None else self._give("hex", text, "cni-" + self._secret.permuted_hex("hex", text[4:]))

    def account(self, text: str) -> str:
        """An account id: twelve digits."""
        known = self._given.get(("account", text))
        if known is not None:
            return known
        if text in READABLE_ACCOUNTS:
            return text
        value, limit = int(text), 10**12
        while True:  # cycle walking: a permutation of 40 bits, taken again until it is back among twelve digits
            value = self._secret.permuted("account", value, bits=40)
            if value < limit:
                return self._give("account", text, f"{value:012d}")

    def unique_id(self, text: str) -> str:
        """`AIPA...`, `AROA...`: an IAM unique id, which tells the account."""
        known = self._given.get(("unique id", text))
        word = self._secret.word("unique id", text, digits=len(text) - 4).upper().translate(str.maketrans("018", "GHJ"))
        return known if known is not None else self._give("unique id", text, text[:4] + word)

    def name(self, text: str) -> str:
        """A cluster, role, group or other name that somebody chose."""
        known = self._given.get(("name", text))
        return known if known is not None else self._give("name", text, f"name-{self._secret.word('name', text, digits=10)}")

    def node(self, text: str) -> str:
        """A node's name that carries neither an address nor an instance id."""
        known = self._given.get(("node", text))
        return known if known is not None else self._give("node", text, f"node-{self._secret.word('node', text, digits=10)}")

    def host(self, text: str) -> str:
        """`ip-10-0-1-2`, `ec2-...` or `10-0-1-2`: the form stays, with the address's pseudonym. Raises `ValueError` on any other text."""
        found = _NODE_IP.fullmatch(text)
        if found is None:
            raise ValueError(f"no host name of this form: {text!r}")
        ip = ipaddress.IPv4Address(found.group(2).replace("-", "."))
        told = (found.group(1) or "") + str(self.address(ip)).replace(".", "-")
        return told if ("host", text) in self._given else self._give("host", text, told)

    def namespace(self, text: str) -> str:
        """A namespace."""
        if text in READABLE_NAMESPACES or not text:
            return text
        known = self._given.get(("namespace", text))
        return known if known is not None else self._give("namespace", text, f"ns-{self._secret.word('namespace', text, digits=8)}")

    def pod(self, text: str) -> str:
        """`namespace/name` or a bare name. Pods of one workload share the first part of their pseudonyms."""
        known = self._given.get(("pod", text))
        if known is not None:
            return known
        namespace, slash, name = text.rpartition("/")
        told = self.namespace(namespace) + slash + self._pod_name(name)
        self._give("pod", text, told)
        if slash:
            self._learn_veths(text, told)
        return told

    def _pod_name(self, name: str) -> str:
        if not name or any(name == w or name.startswith(w + "-") for w in READABLE_WORKLOADS):
            return name
        known = self._given.get(("pod name", name))
        if known is not None:
            return known
        workload = _WORKLOAD.fullmatch(name)
        first = self._secret.word("workload", workload.group(1) if workload else name, digits=6)
        return self._give("pod name", name, f"app-{first}-{self._secret.word('pod', name, digits=12)}")

    def _learn_veths(self, pod: str, pseudonym: str) -> None:
        """The links of a pod are named after it, so their pseudonyms must be named after its pseudonym (law L2)."""
        for card in range(CARDS):
            index = f".{card}" if card else ""
            for prefix in self.veth_prefixes:
                link, told = veth_name(pod + index, prefix), veth_name(pseudonym + index, prefix)
                self._veths[link] = told
                if link != told:
                    self.mapping.setdefault(told, link)

    def veth(self, text: str) -> str:
        """A pod's link: the one named after the pod's pseudonym, for an unknown pod any other."""
        known = self._veths.get(text)
        if known is not None:
            return known
        told = text[:-11] + self._secret.permuted_hex("veth", text[-11:])
        self._veths[text] = self._give("veth", text, told)
        return told


def is_plain_word(name: str) -> bool:
    """Whether a name could be any word of a text, so that it is replaced only where the text says what it is."""
    return bool(_PLAIN_WORD.fullmatch(name))
