"""Signature: one wording that a program prints, with the fields in it and what it means.

Refuses to decide: a signature is a hint, the rules weigh it against the facts.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Role(enum.Enum):
    """What a match says: a cause's own words, an effect of an unnamed cause, a state, a success, or routine noise."""

    CAUSE = "cause"
    EFFECT = "effect"
    STATE = "state"
    SUCCESS = "success"
    NOISE = "noise"


class Signature(NamedTuple):
    """`pattern` is RE2 syntax with named fields, matched anywhere in the message. `means`: the code it points to, or "".

    `programs`: ipamd, plugin, kubelet, containerd, aws-node, event. `versions`: CNI releases that print it ("" = all).
    """

    id: str
    programs: tuple[str, ...]
    pattern: str
    role: Role
    means: str = ""
    excludes: tuple[str, ...] = ()
    versions: str = ""


I, P, K, C, N = "ipamd", "plugin", "kubelet", "containerd", "aws-node"
RUNTIMES = (K, C)
