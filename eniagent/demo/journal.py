"""The recorded journal as real journal files, or where those cannot be made here, as a stand-in for journalctl.

Refuses to hide which of the two it was: `lay_out` says it in words for the replay to print.
"""

from __future__ import annotations

import json
import os
import pathlib
import pkgutil
import shlex
import shutil
import subprocess
import sys
from typing import Any, Optional

from eniagent.demo.journalctl_stand_in import to_export
from eniagent.demo.recording import Look

__all__ = ["REAL_FILES", "STANDING_IN", "entries", "lay_out", "lay_out_stand_in", "remote", "to_export"]

PROGRAMS = ("kubelet", "containerd")
REMOTE = ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")
STAND_IN = "journalctl_stand_in.py"

REAL_FILES = "journal files read by this machine's journalctl"
STANDING_IN = "journal lines through a stand-in for journalctl (no working systemd-journal-remote here, so no journal files)"


def remote() -> Optional[str]:
    """The program that writes journal files, None where it or journalctl is not installed."""
    found = next((path for path in REMOTE if os.access(path, os.X_OK)), None)
    return found if shutil.which("journalctl") else None


def entries(look: Look) -> list[dict[str, Any]]:
    """All recorded entries of kubelet and containerd, in order of time."""
    found = [json.loads(line) for program in PROGRAMS for line in look.body(f"journal/{program}.jsonl").splitlines() if line.strip()]
    return sorted(found, key=lambda entry: int(entry["__REALTIME_TIMESTAMP"]))


def lay_out(look: Look, directory: pathlib.Path, commands: pathlib.Path) -> str:
    """Journal files in `directory`, else a stand-in for journalctl in `commands`. Returns which, in words."""
    tool = remote()
    if tool is not None:
        directory.mkdir(parents=True, exist_ok=True)
        # The new file makes cursors of its own.
        export = b"".join(to_export({name: entry[name] for name in entry if name != "__CURSOR"}) for entry in entries(look))
        done = subprocess.run([tool, "--output", str(directory / "system.journal"), "-"], input=export, capture_output=True, check=False)
        if done.returncode == 0:
            return REAL_FILES
    lay_out_stand_in(look, directory, commands)
    return STANDING_IN


def lay_out_stand_in(look: Look, directory: pathlib.Path, commands: pathlib.Path) -> None:
    """The recorded entries in `directory`, and in `commands` a journalctl that prints them."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = directory / "entries.jsonl"
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in entries(look)), encoding="utf-8")
    program = directory / STAND_IN
    program.write_bytes(pkgutil.get_data("eniagent.demo", STAND_IN) or b"")
    words = " ".join(shlex.quote(word) for word in (sys.executable, "-IS", str(program), str(lines)))
    script = commands / "journalctl"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
