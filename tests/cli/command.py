"""Runs `eniagent` as users do: the installed console script, in a process of its own.

Refuses to hand it this process's environment: what a test does not give, the command does not have.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Optional

SCRIPT = str(pathlib.Path(sys.executable).with_name("eniagent"))
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*words: str, environment: Optional[Mapping[str, str]] = None, timeout_s: float = 60, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run to the end with an empty stdin; stdout and stderr are captured unless `more` says otherwise."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "cwd": "/usr/bin", **more}
    return subprocess.run([SCRIPT, *words], env=dict(environment or {"PATH": PATH}), timeout=timeout_s, check=False, **pipes)


def start(*words: str, environment: Optional[Mapping[str, str]] = None, **more: Any) -> subprocess.Popen[bytes]:
    """Start it in a process group of its own, as SSM does, with an empty stdin and captured output."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "cwd": "/usr/bin", **more}
    return subprocess.Popen([SCRIPT, *words], env=dict(environment or {"PATH": PATH}), start_new_session=True, **pipes)
