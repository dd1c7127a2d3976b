"""`diagnose` over captures: forms of the answer, files, and the exit codes that a verdict comes to."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess

import jsonschema
import pytest

from eniagent.report import schema
from tests.cli.command import SCRIPT, run

FIRST = b"ENIAGENT verdict=critical cause=subnet-exhausted confidence="


def test_text_leads_with_the_line_and_the_verdict(sick: pathlib.Path) -> None:
    """Text begins with the first line, the verdict ends within 2,400 bytes, stderr is silent, the code is 0 whatever the verdict."""
    ended = run("diagnose", "--from", str(sick))
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(FIRST)
    assert ended.stdout.isascii()
    assert b"\x1b" not in ended.stdout
    assert 0 < ended.stdout.index(b"\n-- details --\n") < 2400


def test_json_is_one_valid_document(sick: pathlib.Path, healthy: pathlib.Path) -> None:
    """Real documents, of a sick and of a healthy node, are valid against the shipped schema."""
    for path, verdict in ((sick, "critical"), (healthy, "healthy")):
        ended = run("diagnose", "--from", str(path), "--format", "json")
        assert (ended.returncode, ended.stderr) == (0, b"")
        document = json.loads(ended.stdout)
        jsonschema.Draft202012Validator(schema.document()).validate(document)
        assert document["verdict"] == verdict


def test_ledger_only_when_asked(sick: pathlib.Path) -> None:
    """`--ledger` adds one row per ENI and address to JSON and text, valid against the schema; `--confirm` waits for nothing in a series."""
    plain, asked = (json.loads(run("diagnose", "--from", str(sick), "--format", "json", *more, timeout_s=30).stdout) for more in ((), ("--ledger", "--confirm")))
    assert plain["ledger"] is None
    jsonschema.Draft202012Validator(schema.document()).validate(asked)
    assert {row["kind"] for row in asked["ledger"]} == {"eni", "address"}
    assert {row["state"] for row in asked["ledger"]} == {"agreed"}
    text = run("diagnose", "--from", str(sick), "--ledger").stdout
    assert text.count(b"\n  agreed: ") == len(asked["ledger"])
    assert {**asked, "ledger": None} == plain


@pytest.mark.parametrize(("form", "start"), [("markdown", b"# critical: "), ("html", b"<!doctype html>")])
def test_other_forms(sick: pathlib.Path, form: str, start: bytes) -> None:
    """Markdown and HTML go to stdout as they are, without a machine's line before them."""
    ended = run("diagnose", "--from", str(sick), "--format", form)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(start)
    assert b"subnet-exhausted" in ended.stdout


@pytest.mark.parametrize(
    ("node", "words", "code"),
    [
        ("sick", (), 0),
        ("sick", ("--fail-on", "critical"), 3),
        ("sick", ("--fail-on", "warning"), 3),
        ("sick", ("--strict",), 0),
        ("healthy", ("--fail-on", "warning", "--strict"), 0),
        ("unknown", (), 0),
        ("unknown", ("--fail-on", "warning"), 0),
        ("unknown", ("--strict",), 5),
    ],
)
def test_codes_of_verdicts(request: pytest.FixtureRequest, node: str, words: tuple[str, ...], code: int) -> None:
    """A verdict changes the exit code only where a flag asks for it."""
    ended = run("diagnose", "--from", str(request.getfixturevalue(node)), *words)
    assert ended.returncode == code
    assert ended.stdout.startswith(b"ENIAGENT verdict=")


def test_output_file_is_whole_and_stdout_keeps_the_line(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """`--output` replaces the file in one step, leaves nothing beside it, and stdout still carries the first line alone."""
    target = tmp_path / "answer.json"
    target.write_text("old", encoding="ascii")
    link = tmp_path / "link.json"
    link.symlink_to(target)
    ended = run("diagnose", "--from", str(sick), "--format", "json", "--output", str(link))
    assert ended.returncode == 0
    assert ended.stdout.startswith(FIRST)
    assert ended.stdout.count(b"\n") == 1
    assert json.loads(target.read_bytes())["verdict"] == "critical"
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.json", "link.json"]


def test_output_to_a_device_leaves_it_a_device(sick: pathlib.Path) -> None:
    """`--output /dev/null` writes into the device; it is never replaced by a file."""
    ended = run("diagnose", "--from", str(sick), "--output", "/dev/null")
    assert ended.returncode == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_disk_is_our_failure(sick: pathlib.Path) -> None:
    """What cannot be written is told, and ends with 1: nobody may take a cut answer for a whole one."""
    with open("/dev/full", "wb") as full:
        ended = run("diagnose", "--from", str(sick), stdout=full)
    assert ended.returncode == 1
    assert b"No space left" in ended.stderr
    ended = run("diagnose", "--from", str(sick), "--output", "/dev/full")
    assert ended.returncode == 1
    assert ended.stdout.startswith(FIRST)


@pytest.mark.parametrize("cut", ["head -c 10", "head -n 1", "true"])
def test_a_reader_that_leaves_early_is_no_failure(sick: pathlib.Path, cut: str) -> None:
    """The exit code is the verdict's, and stderr is silent, when the reader closes the pipe before the end."""
    script = f"{{ {SCRIPT} diagnose --from {sick} --fail-on critical; echo $? >&3; }} | {cut}"
    read, write = os.pipe()
    words = ["/bin/bash", "-c", f"exec 3>&{write}; {script}"]
    ended = subprocess.run(words, pass_fds=[write], capture_output=True, timeout=60, check=False)
    os.close(write)
    with os.fdopen(read, "rb") as codes:
        assert codes.read() == b"3\n"
    assert ended.stderr == b""


def test_closed_descriptors_do_no_harm(sick: pathlib.Path) -> None:
    """With stdin, stdout and stderr closed it still runs, writes into no other file, and ends with the verdict's code."""
    words = ["/bin/sh", "-c", f"exec {SCRIPT} diagnose --from {sick} --fail-on critical <&- >&- 2>&-"]
    assert subprocess.run(words, timeout=60, check=False).returncode == 3


def test_the_diagnose_path_loads_no_renderer() -> None:
    """rich costs more than the diagnosis, structlog is for logs, httpx and psutil for looks: the command line loads none of them."""
    program = "import sys; from eniagent.cli import main; main(['diagnose', '--help']); main(['config', 'show'])"
    program += "; print([name for name in ('rich', 'structlog', 'httpx', 'psutil') if name in sys.modules], file=sys.stderr)"
    ended = subprocess.run([os.path.join(os.path.dirname(SCRIPT), "python"), "-c", program], capture_output=True, check=True, timeout=60)
    assert ended.stderr == b"[]\n"


def test_version_loads_nothing_heavy() -> None:
    """`--version` answers before any library is read; so it is fast on any machine."""
    program = "import sys; from eniagent.cli import main; main(['--version']); print(sorted(sys.modules), file=sys.stderr)"
    ended = subprocess.run([os.path.join(os.path.dirname(SCRIPT), "python"), "-I", "-c", program], capture_output=True, check=True, timeout=60)
    loaded = ended.stderr.decode()
    assert ended.stdout.startswith(b"eniagent ")
    assert not any(f"'{name}'" in loaded for name in ("typer", "click", "msgspec", "typing_extensions", "json", "signal", "httpx"))


def test_verbose_says_on_stderr_what_was_done(sick: pathlib.Path) -> None:
    """`--verbose --log-format json` gives events as JSON lines on stderr and leaves stdout as it is; `--quiet` silences them."""
    plain = run("diagnose", "--from", str(sick))
    told = run("diagnose", "--from", str(sick), "--verbose", "--log-format", "json")
    assert told.stdout == plain.stdout
    events = [json.loads(line) for line in told.stderr.splitlines()]
    assert "diagnosis_made" in [event["event"] for event in events]
    assert all("took_s" in event for event in events if event["event"] == "diagnosis_made")
    assert run("diagnose", "--from", str(sick), "--verbose", "--quiet").stderr == b""


def test_a_c_locale_and_hostile_names_print(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A path that is no UTF-8, under a C locale, is told without a crash."""
    odd = os.fsencode(tmp_path) + b"/caf\xe9-\x1b[31m"
    ended = subprocess.run(
        [SCRIPT.encode(), b"diagnose", b"--from", odd], env={"LC_ALL": "C", "PYTHONUTF8": "0"}, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.isascii()
    assert b"\x1b" not in ended.stderr
