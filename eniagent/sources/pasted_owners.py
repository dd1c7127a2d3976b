"""Whose stack traces a paste holds: a panic, or a refusal by AWS, is only ipamd's where nothing names another program.

Refuses to name the other program: it only says that the trace is not the VPC CNI's.
"""

from __future__ import annotations

import re

_OURS = re.compile(r"amazon-vpc-cni-k8s|aws-k8s-agent|L-IPAMD|ipamd|aws-node|aws-cni|amazon-k8s-agent")
_RUNTIMES = re.compile(
    r"node_modules/|^\s+at \S.*\.(?:js|ts|java|kt|scala):\d+|\bat [\w.$<>]+\(\w+\.(?:java|kt|scala):\d+\)|^Traceback \(most recent call last\)|^\s+File \"[^\"]+\.py\", line \d+",
    re.MULTILINE,
)
_GO_FRAME = re.compile(r"^\s*(?:created by )?(?P<module>(?:[\w-]+\.)+[a-z]+/[\w.-]+(?:/[\w.-]+)?)[\w./-]*\.(?:\(\*?\w+\)\.)?\w[\w.]*(?:\(|$)", re.MULTILINE)
_LIBRARIES = re.compile(r"^(?:github\.com/(?:aws/aws-sdk|prometheus/|vishvananda/|containernetworking/|pkg/errors|spf13/|sirupsen/|go-logr)|k8s\.io/|sigs\.k8s\.io/|google\.golang\.org/|golang\.org/|go\.uber\.org/|gopkg\.in/)")


def is_foreign(text: str) -> bool:
    """Whether the text holds traces, all of programs that are not the VPC CNI's. A trace of libraries alone tells nothing."""
    if _OURS.search(text):
        return False
    if _RUNTIMES.search(text):
        return True
    return any(not _LIBRARIES.match(found["module"]) for found in _GO_FRAME.finditer(text))
