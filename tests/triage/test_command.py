"""`eniagent triage` as a process: files, standard input, forms of the answer, exit codes."""

from __future__ import annotations

import gzip
import json
import pathlib
import subprocess
import sys

EVENT = b'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "c7b6872e01d4e3f698850d72844a7898ef526d7ed3e58c39db5be48b3b98320e": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container\n'
REFUSAL = b'{"level":"error","ts":"2026-05-19T12:45:10.613Z","caller":"ipamd/ipamd.go:934","msg":"Failed to allocate a private IP/Prefix addresses on ENI eni-0aeac170bf4a0f1e9: InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy the request.\\n\\tstatus code: 400, request id: 45903d69"}\n'


def run(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command, as a user starts it."""
    return subprocess.run([sys.executable, "-m", "eniagent", "triage", *words], input=stdin, capture_output=True, timeout=60, check=False)


def test_standard_input_and_no_word_at_all() -> None:
    """Without a file, or with -, standard input is read; stderr stays silent."""
    for words in ((), ("-",)):
        done = run(*words, stdin=REFUSAL)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith(b"ENIAGENT verdict=warning cause=subnet-exhausted")


def test_several_files_of_any_kind_one_packed(tmp_path: pathlib.Path) -> None:
    """Files are one case together; a rotated log may stay gzipped. The JSON is the one of diagnose."""
    (tmp_path / "events.txt").write_bytes(EVENT)
    (tmp_path / "ipamd.log.gz").write_bytes(gzip.compress(REFUSAL))
    done = run(str(tmp_path / "events.txt"), str(tmp_path / "ipamd.log.gz"), "--format", "json")
    document = json.loads(done.stdout)
    assert document["schema"] == "eniagent.diagnosis/1" and document["verdict"] == "critical"
    assert [cause["code"] for cause in document["causes"]] == ["subnet-exhausted"]
    assert document["impact"]["failures"] == 1


def test_exit_codes(tmp_path: pathlib.Path) -> None:
    """0 whatever the verdict; 4 and 5 only on demand; 2 for a file that is not there or no gzip."""
    assert run(stdin=EVENT).returncode == 0
    assert run("--strict", stdin=EVENT).returncode == 5
    assert run("--fail-on", "warning", stdin=REFUSAL).returncode == 4
    missing = run(str(tmp_path / "absent"))
    assert missing.returncode == 2 and b"absent" in missing.stderr and missing.stdout == b""
    (tmp_path / "torn.gz").write_bytes(b"\x1f\x8b\x08 torn")
    assert run(str(tmp_path / "torn.gz")).returncode == 2


def test_an_empty_paste_is_no_health() -> None:
    """Nothing seen is inconclusive, never healthy."""
    done = run("--format", "json", stdin=b"\n")
    assert json.loads(done.stdout)["verdict"] == "inconclusive"
