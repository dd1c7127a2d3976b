"""Memory: a bundle of large logs takes no more of it than one of small ones; nothing is ever held whole."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.bundle.test_caps import log_lines, node_with
from tests.cli.command import PATH, SCRIPT

MEASURE = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/usr/bin")
print(ended.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, ended.stdout.count(b"ENIAGENT-BUNDLE"))
"""


@pytest.mark.parametrize(("profile", "redact"), [("case", "secrets"), ("mini", "secrets"), ("case", "none")])
def test_memory_is_bounded(profile: str, redact: str, tmp_path: pathlib.Path) -> None:
    """200 MB of a log that packs badly: far below 150 MB of resident memory, in each profile."""
    block = b"".join(log_lines(120_000, every=400))
    node = node_with(block * 10, tmp_path / "node")
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    words = [SCRIPT, "bundle", "create", "--from", str(node), "--profile", profile, "--redact", redact, "--yes"]
    ended = subprocess.run([sys.executable, "-c", MEASURE, *words], env={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(out)}, capture_output=True, check=True, timeout=120)
    code, peak_mb, bundles = map(int, ended.stdout.split())
    assert (code, bundles) == (0, 1)
    assert peak_mb < 120
    (archive,) = out.glob("*.tar.gz")
    assert archive.stat().st_size <= {"case": 150_000_000, "mini": 5_000_000}[profile]
