"""The node inside a machine: units that pass for ipamd, kubelet and containerd, laid out before it boots and commanded after.

Refuses to judge: what the agent should say of a state is the tests' to know.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import time

from tests.nspawn.machine import Machine
from tests.recorded import unpack

RECORDING = "v1.23.0-subnet-exhausted-recovered"
HOME = "opt/stand-in"
LOOP = "#!/bin/sh\nwhile :; do cat /run/stand-in/{name}.fifo; done\n"
PROGRAM = "[Unit]\nDescription=stand-in for {name}\n[Service]\nExecStartPre=/bin/sh -c 'mkdir -p /run/stand-in; test -p /run/stand-in/{name}.fifo || mkfifo /run/stand-in/{name}.fifo'\n"
CRICTL = """#!/bin/sh
# Whoever may not write to the socket may not speak to containerd.
[ -w /run/containerd/containerd.sock ] || {{ echo 'connect: permission denied' >&2; exit 1; }}
case $3 in pods) cat /{home}/pods.json ;; *) cat /{home}/containers.json ;; esac
"""


def lay_out(root: pathlib.Path) -> None:
    """Everything that a node has before its agent comes."""
    home = root / HOME
    unpack(RECORDING, home / "recording")
    tests = pathlib.Path(__file__).resolve().parents[1]
    for part in ("__init__.py", "fakes", "nspawn"):
        source = tests / part
        if source.is_dir():
            shutil.copytree(source, home / "tests" / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (home / "tests").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, home / "tests" / part)
    captures = home / "recording/01-now"
    for name in ("kubelet", "containerd"):
        script(home / f"bin/{name}", LOOP.format(name=name))
    script(home / "bin/aws-k8s-agent", "#!/bin/sh\nwhile :; do sleep 3600; done\n")
    script(root / "usr/local/bin/crictl", CRICTL.format(home=HOME))
    runtime(home, captures)
    environment = json.loads((captures / "ipamd/env.json").read_text())
    units(root, "".join(f"Environment={key}={value}\n" for key, value in environment.items() if " " not in value and value))
    for path, body in (("etc/cni/net.d/10-aws.conflist", json.dumps({"cniVersion": "0.4.0", "name": "aws-cni", "plugins": [{"type": "aws-cni"}, {"type": "egress-cni"}, {"type": "portmap"}]})),
                       *((f"opt/cni/bin/{name}", "") for name in ("aws-cni", "egress-cni", "loopback", "portmap"))):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(body, encoding="ascii")
        (root / path).chmod(0o700 if "bin" in path else 0o600)
    (root / "opt/cni/bin").chmod(0o700)


def script(path: pathlib.Path, text: str) -> None:
    """A program, which the kernel knows by its file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)


def runtime(home: pathlib.Path, captures: pathlib.Path) -> None:
    """What crictl prints: a ready sandbox for each pod with an address."""
    checkpoint = json.loads((captures / "ipamd/checkpoint/ipam.json").read_text())
    pods = [
        {"id": entry["containerID"], "state": "SANDBOX_READY", "metadata": {"name": entry["metadata"]["k8sPodName"], "namespace": entry["metadata"]["k8sPodNamespace"]}}
        for entry in checkpoint["allocations"]
    ]
    (home / "pods.json").write_text(json.dumps({"items": pods}), encoding="ascii")
    (home / "containers.json").write_text(json.dumps({"containers": []}), encoding="ascii")


def units(root: pathlib.Path, environment: str) -> None:
    """Unit files of the stand-ins, enabled."""
    texts = {
        "kubelet": PROGRAM.format(name="kubelet") + f"ExecStart=/{HOME}/bin/kubelet --config=/etc/kubernetes/kubelet/config.json --max-pods=29\n",
        "containerd": PROGRAM.format(name="containerd")
        + "ExecStartPre=/usr/bin/python3 -IS -c 'import socket,os; os.makedirs(\"/run/containerd\",0o711,True); s=socket.socket(socket.AF_UNIX); s.bind(\"/run/containerd/containerd.sock\"); os.chmod(\"/run/containerd/containerd.sock\",0o660)'\n"
        + f"ExecStart=/{HOME}/bin/containerd\n",
        "ipamd": f"[Service]\n{environment}ExecStart=/{HOME}/bin/aws-k8s-agent\n",
        "stand-in": f"[Unit]\nAfter=kubelet.service containerd.service\nRequires=kubelet.service containerd.service\n[Service]\nEnvironment=PYTHONPATH=/{HOME}:/opt/eniagent/lib/common PYTHONDONTWRITEBYTECODE=1\nExecStart=/usr/bin/python3 -S -m tests.nspawn.stand_in\nRestart=always\n",
    }
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (root / f"etc/systemd/system/{name}.service").write_text(text, encoding="utf-8")
        (wanted / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")


def command(machine: Machine, *words: str) -> None:
    """Have the stand-in do something, and wait until it did."""
    machine.run("rm", "-f", "/run/stand-in/done")
    machine.run("sh", "-c", 'printf "%s\\n" "$*" >/run/stand-in/commands', "sh", *words)
    machine.wait(f"the stand-in to {' '.join(words)}", lambda: machine.run("test", "-e", "/run/stand-in/done", check=False).returncode == 0)


def rights_for_people(machine: Machine) -> None:
    """As a package's scripts do after the files are there."""
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create", "eniagent.conf")
    machine.run("systemctl", "daemon-reload")


def settle(machine: Machine) -> None:
    """Until the node is up."""
    machine.wait("the stand-in to be ready", lambda: machine.run("test", "-e", "/run/stand-in/ready", check=False).returncode == 0)
    time.sleep(0.5)


__all__ = ["command", "lay_out", "rights_for_people", "settle"]
