"""Restraint: what the kernel says of a process that lowered itself, and of its children."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os, subprocess, sys
if sys.argv[1] == "lowest":
    open("/proc/self/oom_score_adj", "w").write("900"); os.nice(15)
if sys.argv[1] == "nobody" and os.geteuid() == 0:
    import psutil, eniagent.edge.restraint
    open("/proc/self/oom_score_adj", "w").write("-500"); os.setgid(65534); os.setuid(65534)
from eniagent.edge.restraint import lower_self
failed = lower_self()
ask = "cat /proc/self/oom_score_adj; nice; ionice"
child = subprocess.run(["/bin/sh", "-c", ask], capture_output=True, text=True, check=True).stdout.split()
print(json.dumps([failed, child]))
"""


def lowered(how: str) -> tuple[list[str], list[str]]:
    """What failed, and the score, niceness and I/O class of a child of a process that lowered itself."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, cwd=TOP, check=True)
    failed, child = json.loads(done.stdout)
    return failed, child


def test_children_inherit_what_the_agent_gave_up() -> None:
    """Score 500, nice 10, idle I/O, in a child that did nothing itself."""
    assert lowered("plain") == ([], ["500", "10", "idle"])


def test_what_is_lower_already_is_not_raised() -> None:
    """A niceness beyond ours stays; the score is 500 whatever was inherited."""
    failed, child = lowered("lowest")
    assert child[1] == "15"
    assert child[0] == "500" or any(text.startswith("oom_score_adj") for text in failed)


def test_without_rights_nothing_is_raised_and_nothing_raises() -> None:
    """A user without rights lowers what may be lowered, and the run goes on."""
    failed, child = lowered("nobody")
    assert (child[0] == "500") != any(text.startswith("oom_score_adj") for text in failed)
    assert child[1:] == ["10", "idle"]
