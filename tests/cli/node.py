"""Inside namespaces of its own: becomes the recorded node, runs `eniagent diagnose` with no setting at all, prints what came of it.

Refuses to run outside: it mounts over /etc, /opt, /run and /var/log, and takes the addresses and ports that a node uses.
Run by test_on_a_node.py as `unshare --mount --net --pid --fork --mount-proc python -m tests.cli.node SCENARIO DIRECTORY WORD...`.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from contextlib import ExitStack

from eniagent.demo import recording
from eniagent.demo.replay import Stage, stage
from tests.cli.command import PATH, run
from tests.fakes.imds import FakeImds
from tests.fakes.ipamd import FakeIpamd, bodies_of

IMDS = "169.254.169.254"


def mount(*words: str) -> None:
    """mount(8)."""
    subprocess.run(["mount", *words], check=True, stdin=subprocess.DEVNULL)


def cover(place: pathlib.Path, *, old: pathlib.Path, keep: bool) -> None:
    """An empty file system over `place`; with `keep`, what stood there is still there, as links to the old place."""
    old.mkdir(parents=True)
    mount("--bind", str(place), str(old))
    mount("-t", "tmpfs", "tmpfs", str(place))
    for child in old.iterdir() if keep else ():
        (place / child.name).symlink_to(child)


def become(staged: Stage, directory: pathlib.Path) -> None:
    """The recorded node's files where a node has them."""
    for name, keep in (("etc", True), ("opt", True), ("run", False), ("var/log", False)):
        cover(pathlib.Path("/", name), old=directory / "old" / name, keep=keep)
    for part in ("etc/kubernetes", "etc/cni", "opt/cni", "run/aws-node", "var/log/aws-routed-eni"):
        target, source = pathlib.Path("/", part), staged.directory / "root" / part
        if target.is_symlink():
            target.unlink()
        if source.is_dir():
            shutil.copytree(source, target)
    machine = pathlib.Path("/etc/machine-id")
    identity = machine.read_text(encoding="ascii").strip() if machine.exists() else ""
    if not identity:
        identity = "0123456789abcdef0123456789abcdef"
        machine.unlink(missing_ok=True)
        machine.write_text(f"{identity}\n", encoding="ascii")
    shutil.copytree(staged.directory / "journal", pathlib.Path("/var/log/journal", identity))


def start_processes(staged: Stage, directory: pathlib.Path) -> None:
    """Real processes under the names that a node runs, ipamd with its recorded environment; they end with the PID namespace."""
    values = json.loads(staged.look.body("ipamd/env.json") or b"{}")
    for name, environment in (("aws-k8s-agent", values), ("kubelet", {}), ("containerd", {})):
        program = directory / name
        shutil.copy(shutil.which("sleep", path=PATH) or "/bin/sleep", program)
        subprocess.Popen([str(program), "600"], env=environment)


def main(scenario: str, directory: pathlib.Path, words: list[str]) -> None:
    """Print one JSON document: exit code, stdout, stderr, what IMDS was asked for that it must not be, requests per service."""
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "address", "add", f"{IMDS}/32", "dev", "lo"]):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    mount("--make-rprivate", "/")
    with ExitStack() as until:
        staged = stage(recording.find(scenario), until=until)
        files = ("ipamd/enis.json", "ipamd/ipamd-env-settings.json", "ipamd/networkutils-env-settings.json", "ipamd/metrics.txt")
        bodies = bodies_of({file: staged.look.body(file) for file in files if staged.look.body(file)})
        tree = json.loads(staged.look.body("imds/tree.json"))
        imds = FakeImds(tree, host=IMDS, port=80)
        until.callback(imds.close)
        services = [FakeIpamd(bodies, port=port) for port in (61679, 61678)]
        become(staged, directory)
        start_processes(staged, directory)
        ended = run("diagnose", *words, environment={"PATH": f"{staged.directory / 'bin'}:{PATH}"})
        told = {"code": ended.returncode, "stdout": ended.stdout.decode("ascii"), "stderr": ended.stderr.decode("utf-8", "replace")}
        asked = [[request.path for request in service.requests] for service in (imds, *services)]
        print(json.dumps({**told, "asked": asked, "forbidden": imds.forbidden}))


if __name__ == "__main__":
    if os.getpid() != 1:
        sys.exit("this takes over the machine it runs on: it wants PID, network and mount namespaces of its own")
    main(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:])
