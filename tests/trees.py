"""Root trees of other systems for tests that boot or enter them: made once with debootstrap, kept, and lent out as throw-away layers.

Refuses to hand out the kept tree itself: what a test does to its layer is gone with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

KEPT = pathlib.Path("/var/tmp/eniagent-test-trees")
SYSTEMD = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "python3", "util-linux")
"""What a node of ours has at the least: the real systemd, its journal, ip(8) and Python."""


def _run(*words: str) -> str:
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def mirror() -> str:
    """The archive that this machine itself installs from: the first that is no security one."""
    found = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").splitlines()
    return next(line for line in found if line and "security" not in line)


def kept_tree(suite: str, packages: Sequence[str] = SYSTEMD) -> pathlib.Path:
    """The kept tree of `suite` with `packages`; made when it is first asked for, by one process at a time. Never write to it."""
    name = f"{suite}-{hashlib.sha256(' '.join(sorted(packages)).encode()).hexdigest()[:12]}"
    KEPT.mkdir(mode=0o755, exist_ok=True)
    tree = KEPT / name
    with open(KEPT / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            making = KEPT / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)
            _run("debootstrap", "--variant=minbase", f"--include={','.join(sorted(packages))}", suite, str(making), mirror())
            shutil.rmtree(making / "var/cache/apt/archives", ignore_errors=True)
            making.rename(tree)
    return tree


@contextlib.contextmanager
def layer(tree: pathlib.Path) -> Iterator[pathlib.Path]:
    """A writable view of a kept tree; all that is written to it is thrown away."""
    upper = pathlib.Path(tempfile.mkdtemp(prefix="eniagent-layer-", dir="/var/tmp"))
    for part in ("changes", "work", "root"):
        (upper / part).mkdir()
    root = upper / "root"
    _run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={tree},upperdir={upper}/changes,workdir={upper}/work", str(root))
    try:
        yield root
    finally:
        with contextlib.suppress(RuntimeError):
            _run("umount", "--recursive", str(root))
        if not os.path.ismount(root):
            shutil.rmtree(upper, ignore_errors=True)
