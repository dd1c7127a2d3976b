"""The SSM document: its schema, its patterns, and its script, run as the agent runs it.

The agent writes the script to a file and runs `sh -c FILE` as root with hardly an environment, in /usr/bin, with an empty stdin, in a
process group that it kills whole at the timeout. Source: amazon-ssm-agent, runshellscript.go, executers.go.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import yaml

from eniagent.demo import recording
from eniagent.demo.replay import stage

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT: dict[str, Any] = yaml.safe_load((TOP / "packaging/ssm/eniagent-diagnose.yaml").read_text(encoding="utf-8"))
AGENT = pathlib.Path(sys.executable).with_name("eniagent")
HOSTILE = ("'; reboot #", "1h'\"", "$(id)", "`id`", "a\nb", "1h; id", "https://x/'$(id)'", "https://x/\"", "https://x/\\", "https://x/ y", "file:///etc/shadow")


def script(**given: str) -> str:
    """The script with its parameters put in, as SSM does: by text."""
    text: str = "\n".join(DOCUMENT["mainSteps"][0]["inputs"]["runCommand"])
    for name, parameter in DOCUMENT["parameters"].items():
        value = given.pop(name, parameter["default"])
        assert allowed(parameter, value), f"{name}={value}"
        text = text.replace(f"{{{{ {name} }}}}", value)
    assert not given
    assert "{{" not in text
    return text


def allowed(parameter: dict[str, Any], value: str) -> bool:
    """Whether SSM takes the value."""
    if "allowedValues" in parameter:
        return value in parameter["allowedValues"]
    return re.search(parameter["allowedPattern"], value) is not None and "\n" not in value


class Node(NamedTuple):
    """A machine where /usr/bin and /etc have layers of our own on top."""

    place: pathlib.Path

    def start(self, text: str) -> subprocess.Popen[bytes]:
        """Start the script as SSM does, in a mount namespace with the layers."""
        file = self.place / "_script.sh"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o700)
        mounts = []
        for part in ("usr/bin", "etc"):
            (self.place / "work" / part).mkdir(parents=True, exist_ok=True)
            upper = self.place / "node" / part
            upper.mkdir(parents=True, exist_ok=True)
            mounts.append(f"mount -t overlay overlay -o lowerdir=/{part},upperdir={upper},workdir={self.place / 'work' / part} /{part}")
        inner = f"cd /usr/bin; exec env -i sh -c {shlex.quote(str(file))}"
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join([*mounts, inner])]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def run(self, **given: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of the script with these parameters."""
        process = self.start(script(**given))
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def put(self, path: str, text: str, *, mode: int = 0o755) -> None:
        """A file of the node."""
        target = self.place / "node" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Node:
    """A node without eniagent. Overlays need a file system that is none."""
    return Node(tmp_path)


@pytest.fixture
def sick_node(node: Node) -> Iterator[Node]:
    """A node with the real eniagent, whose settings point at a replayed subnet without addresses."""
    with ExitStack() as until:
        staged = stage(recording.find("subnet-exhausted"), until=until)
        settings = {
            "root": staged.directory / "root",
            "ipamd_url": staged.urls.ipamd,
            "metrics_url": staged.urls.metrics,
            "imds_url": staged.urls.imds,
            "journal_dir": staged.directory / "journal",
            "bundle_dir": node.place / "support",
            "state_dir": node.place / "state",
        }
        (node.place / "support").mkdir(mode=0o700)
        (node.place / "state").mkdir(mode=0o700)
        node.put("etc/eniagent/config.toml", "".join(f'{name} = "{value}"\n' for name, value in settings.items()), mode=0o644)
        for command in (staged.directory / "bin").iterdir():
            node.put(f"usr/bin/{command.name}", command.read_text(encoding="utf-8"))
        node.put("usr/bin/eniagent", f'#!/bin/sh\nexec {AGENT} "$@"\n')
        yield node


def told(node: Node) -> list[list[str]]:
    """The argument lists that the stand-in was called with, and what it read from stdin."""
    return [json.loads(line) for line in (node.place / "calls").read_text(encoding="utf-8").splitlines()]


def stand_in(node: Node, *, diagnose: int, upload: int) -> None:
    """An eniagent that writes down how it is called and ends with these codes: for ends that a healthy machine does not come to."""
    body = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
given = sys.stdin.read() if words[0] == "upload" else ""
with open({str(node.place / 'calls')!r}, "a") as file:
    file.write(json.dumps([*words, given]) + "\\n")
if words[0] == "diagnose":
    os.write(1, b"ENIAGENT verdict=critical cause=iam-denied confidence=confirmed node=n instance=i-1 cni=1.20.4\\n")
    if "--bundle" in words and {diagnose} != 7:
        os.write(1, b"ENIAGENT-BUNDLE path=/var/log/support/eniagent_x.tar.gz sha256=00 upload=none\\n")
raise SystemExit({diagnose} if words[0] == "diagnose" else {upload})
"""
    node.put("usr/bin/eniagent", body)


def test_the_document_is_one_of_schema_2_2() -> None:
    """Only keys of the schema, a type and a default for each parameter, and values that SSM can check before the node sees them."""
    assert set(DOCUMENT) == {"schemaVersion", "description", "parameters", "mainSteps"}
    assert DOCUMENT["schemaVersion"] == "2.2"
    assert set(DOCUMENT["parameters"]) == {"Mode", "Since", "Redact", "UploadUrl", "FailOn"}
    for parameter in DOCUMENT["parameters"].values():
        assert set(parameter) <= {"type", "description", "default", "allowedValues", "allowedPattern"}
        assert parameter["type"] == "String"
        assert ("allowedValues" in parameter) != ("allowedPattern" in parameter)
        assert allowed(parameter, parameter["default"])
    (step,) = DOCUMENT["mainSteps"]
    assert set(step) == {"action", "name", "precondition", "inputs"}
    assert step["action"] == "aws:runShellScript"
    assert step["precondition"] == {"StringEquals": ["platformType", "Linux"]}
    assert set(step["inputs"]) == {"timeoutSeconds", "runCommand"}
    assert 5 <= int(step["inputs"]["timeoutSeconds"]) <= 172800
    assert len(json.dumps(DOCUMENT)) < 64 * 1024


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_leaves_its_quotes(value: str) -> None:
    """SSM refuses every value that could run as a command."""
    assert not [name for name, parameter in DOCUMENT["parameters"].items() if allowed(parameter, value)]


def test_addresses_that_are_given_in_the_field() -> None:
    """A presigned address with its query, and a bucket, are taken."""
    parameter = DOCUMENT["parameters"]["UploadUrl"]
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Signature=0a1b"
    assert allowed(parameter, f"https://bucket.s3.us-west-2.amazonaws.com/a/b.tar.gz?{query}")
    assert allowed(parameter, "s3://bucket/some/prefix")


@pytest.mark.netns
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_is_plain_sh(shell: str) -> None:
    """Debian's and Amazon Linux's /bin/sh both read it."""
    subprocess.run([shell, *(["--posix"] if shell == "bash" else []), "-n"], input=script().encode(), check=True)


@pytest.mark.netns
def test_without_eniagent(node: Node) -> None:
    """A node without the package fails with the remedy."""
    code, out, err = node.run()
    assert (code, out) == (1, "")
    assert "is not on this node" in err


@pytest.mark.netns
@pytest.mark.sockets
@pytest.mark.parametrize(("fail_on", "expected"), [("none", 0), ("critical", 3), ("warning", 3)])
def test_a_sick_node(sick_node: Node, fail_on: str, expected: int) -> None:
    """The real agent's verdict comes through, first line first, with its exit code and a silent stderr."""
    code, out, err = sick_node.run(FailOn=fail_on)
    assert (code, err) == (expected, "")
    assert out.startswith("ENIAGENT verdict=critical cause=subnet-exhausted ")
    assert "\n-- details --\n" in out[:2400]


@pytest.mark.netns
@pytest.mark.sockets
def test_json(sick_node: Node) -> None:
    """Mode json gives one document."""
    code, out, err = sick_node.run(Mode="json", Since="30m", FailOn="critical")
    assert (code, err) == (3, "")
    assert json.loads(out)["verdict"] == "critical"


@pytest.mark.netns
@pytest.mark.sockets
def test_a_bundle(sick_node: Node) -> None:
    """Mode bundle gives the verdict, then the line about an archive that is there and ours alone; the exit code is that of the verdict."""
    code, out, err = sick_node.run(Mode="bundle", FailOn="critical", Redact="identifiers")
    assert (code, err) == (3, "")
    line = next(line for line in out.splitlines() if line.startswith("ENIAGENT-BUNDLE "))
    path = pathlib.Path(line.split()[1].partition("=")[2])
    assert str(path.parent).endswith(str(sick_node.place / "support")), "bundle_dir, below the host's root"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.netns
@pytest.mark.parametrize(
    ("diagnose", "upload", "expected"),
    [(0, 0, 0), (3, 0, 3), (3, 6, 6), (0, 6, 6), (10, 0, 10), (10, 6, 6), (7, 6, 7), (2, 6, 2), (1, 0, 1), (5, 0, 5)],
)
def test_the_leading_exit_code(node: Node, diagnose: int, upload: int, expected: int) -> None:
    """Of verdict and upload the code that leads by the contract is the command's."""
    stand_in(node, diagnose=diagnose, upload=upload)
    code, out, err = node.run(Mode="bundle", UploadUrl="s3://bucket/prefix", FailOn="critical")
    assert (code, err) == (expected, "")
    assert out.startswith("ENIAGENT verdict=")


@pytest.mark.netns
def test_the_address_is_in_no_argument_list(node: Node) -> None:
    """The presigned address goes to the upload by stdin, so that no other user of the node can read it."""
    stand_in(node, diagnose=0, upload=0)
    address = "https://bucket.example/x?X-Amz-Signature=0123"
    node.run(Mode="bundle", UploadUrl=address, Since="15m")
    first, second = told(node)
    assert first == ["diagnose", "--since", "15m", "--redact", "secrets", "--bundle", ""]
    assert second == ["upload", "/var/log/support/eniagent_x.tar.gz", "--to", "-", f"{address}\n"]


@pytest.mark.netns
@pytest.mark.sockets
def test_killed_at_the_timeout(sick_node: Node) -> None:
    """At its timeout SSM kills the process group: nothing of the command lives on, and what was said before stays said."""
    sick_node.put("usr/bin/eniagent", f'#!/bin/sh\n{AGENT} "$@"\nexec /bin/sh -c "sleep 30"\n')
    process = sick_node.start(script())
    assert process.stdout is not None
    first = process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert first.startswith(b"ENIAGENT verdict=")
    deadline = time.monotonic() + 5
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(process.pid)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
