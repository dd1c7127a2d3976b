"""The service on a node with the real systemd: ready, every source seen, least privilege, watchdog, incidents, reload, upgrade, removal."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.nspawn import install, node
from tests.nspawn.machine import Machine

pytestmark = pytest.mark.nspawn

EXPOSURE = 2.5


def main_pid(machine: Machine) -> int:
    return int(machine.show("eniagent", "MainPID")["MainPID"])


def cycles(machine: Machine) -> int:
    last = machine.status()["last"]
    return int(last["cycle"]) if last else 0


def last(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = machine.status()["last"] or {}
    return found


def incident(machine: Machine) -> Any:
    found = json.loads(machine.out("eniagent", "history", "--format", "json"))["incidents"]
    return found[-1] if found else None


def test_starts_and_is_ready_after_its_first_cycle(machine: Machine) -> None:
    """`systemctl start` returns once a cycle is done: the unit is active, the status file tells of it, the journal has its line."""
    machine.run("systemctl", "enable", "--now", "eniagent", timeout_s=120)
    assert machine.show("eniagent", "ActiveState", "SubState", "Type") == {"ActiveState": "active", "SubState": "running", "Type": "notify"}
    assert machine.status()["daemon"] == "running"
    assert cycles(machine) >= 1
    assert "event=cycle_done cycle=1 " in machine.journal()


def test_every_source_is_observed_without_root(machine: Machine) -> None:
    """As its own user with two capabilities it sees all that root would: root's logs, ipamd's environment, the checkpoint, the runtime."""
    machine.wait("the runtime's answer", lambda: machine.run("test", "-s", "/run/eniagent-runtime/pods.json", check=False).returncode == 0)
    machine.wait("every source", lambda: last(machine).get("unobserved") == {} and cycles(machine) > 2, timeout_s=60)
    pid = main_pid(machine)
    status = dict(line.split(":\t", 1) for line in machine.out("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert status["Uid"].split()[0] == machine.out("id", "-u", "eniagent").strip() != "0"
    assert int(status["CapEff"], 16) == (1 << 2) | (1 << 19), "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE, and no other"
    assert status["NoNewPrivs"].strip() == "1"


def test_exposure_of_the_running_unit(machine: Machine) -> None:
    """systemd's own analysis of the unit as it runs comes to no more than the bound."""
    told = machine.out("systemd-analyze", "security", "--no-pager", "eniagent.service")
    found = re.search(r"Overall exposure level for eniagent.service: ([\d.]+)", told)
    assert found is not None
    assert float(found[1]) <= EXPOSURE, told


def test_reaches_loopback_and_link_local_alone(machine: Machine) -> None:
    """What the unit may connect to is filtered by the kernel: an address of the pods' network is refused to it, loopback is not."""
    program = "import socket,sys\nfor a in ('127.0.0.1','10.0.0.62'):\n  s=socket.socket(); s.settimeout(1)\n  try: s.connect((a,61690)); print('yes')\n  except OSError as e: print(type(e).__name__)\n"
    machine.write("/opt/stand-in/connect.py", program)
    filters = [line for line in machine.out("systemctl", "cat", "eniagent").splitlines() if line.startswith("IPAddress")]
    assert filters
    lines = ["[Service]", "Type=oneshot", *filters, "ExecStart=/usr/bin/python3 /opt/stand-in/connect.py"]
    machine.write("/etc/systemd/system/filtered.service", "\n".join(lines) + "\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "filtered")
    # What is filtered is dropped on its way: nobody answers, where without the filter the port would be refused.
    assert machine.out("journalctl", "--no-pager", "--unit=filtered", "--identifier=python3", "--output=cat").split() == ["yes", "TimeoutError"]
    assert machine.out("/usr/bin/python3", "/opt/stand-in/connect.py").split() == ["yes", "ConnectionRefusedError"]


def test_metrics_and_status_for_people(machine: Machine) -> None:
    """Metrics on loopback, a status and a history that everyone with the rights can read beside the daemon."""
    page = machine.out("/usr/bin/python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:61690/metrics').read().decode())")
    assert 'eniagent_source_up{source="ipam"} 1.0' in page
    assert page.count("eniagent_finding{") >= 70
    assert "daemon    running" in machine.out("eniagent", "status")
    assert "0 incidents" in machine.out("eniagent", "history")


def test_watchdog_kills_a_stopped_process_and_systemd_starts_it_again(machine: Machine) -> None:
    """A process that is stopped pings no more: it is killed, and the next one goes on with the same history."""
    before, snapshots = main_pid(machine), machine.status()["history"]["snapshots"]
    machine.run("kill", "-STOP", str(before))
    machine.wait("a new process", lambda: main_pid(machine) not in (0, before) and machine.show("eniagent", "SubState")["SubState"] == "running", timeout_s=60)
    assert "Watchdog timeout" in machine.out("journalctl", "--no-pager", "--unit=eniagent")
    assert machine.wait("the history to go on", lambda: machine.status()["history"]["snapshots"] > snapshots)
    assert machine.run("pgrep", "--exact", "journalctl", check=False).stdout.split().__len__() == 1, "the killed one's journalctl ended with it"


def test_incident_opens_is_captured_and_resolves(machine: Machine) -> None:
    """A subnet that fills up while the daemon watches: one incident, with a bundle at either end, and nothing of it stays once it is over."""
    node.command(machine, "state", "sick")
    machine.wait("an incident", lambda: incident(machine), timeout_s=90)
    machine.wait("pods to wait", lambda: incident(machine)["severity"] == "critical")
    found = incident(machine)
    assert (found["cause"], found["state"], found["subject"]) == ("subnet-exhausted", "open", "subnet-0873a0000c6d07ef7")
    assert last(machine)["waiting"] > 0
    machine.wait("its bundle", lambda: incident(machine)["bundles"].get("opened"), timeout_s=180)
    path = incident(machine)["bundles"]["opened"]
    assert path.startswith("/var/log/support/")
    assert "eniagent" in machine.out("stat", "--format=%U", path)
    machine.run("eniagent", "bundle", "verify", path)
    node.command(machine, "state", "recovered")
    machine.wait("its end", lambda: incident(machine)["state"] == "resolved", timeout_s=120)
    machine.wait("the second bundle", lambda: incident(machine)["bundles"].get("resolved"), timeout_s=180)
    machine.wait("nothing to stand", lambda: last(machine).get("incidents") == [] and last(machine).get("causes") == [])
    assert len(json.loads(machine.out("eniagent", "history", "--format", "json"))["incidents"]) == 1


def test_journal_is_readable(machine: Machine) -> None:
    """`journalctl -u eniagent` is one line for each event, with its level kept out of the text and no traceback in it."""
    lines = [line for line in machine.out("journalctl", "--no-pager", "--unit=eniagent", "--output=cat").splitlines() if line.startswith("event=")]
    assert len(lines) > 10
    assert not [line for line in lines if line.startswith("<") or "Traceback" in line]
    assert any("event=cycle_done" in line and "opened=subnet-exhausted" in line for line in lines)
    warned = machine.out("journalctl", "--no-pager", "--unit=eniagent", "--priority=err", "--output=cat", "_COMM=eniagent")
    assert "cycle_failed" not in warned, warned


def test_reload_takes_a_good_configuration_and_keeps_the_old_one_otherwise(machine: Machine) -> None:
    """SIGHUP: a wrong setting is refused and said in status and journal; a right one is in force without a restart."""
    pid = main_pid(machine)
    machine.write("/etc/eniagent/config.toml", "poll_s = 1\nimds_poll_s = 2\npoll = 3\nmetrics_listen = '0.0.0.0:80'\n")
    machine.run("systemctl", "reload", "eniagent")
    told = machine.wait("the refusal", lambda: json.loads(machine.out("cat", "/run/eniagent/status.json"))["refused"])
    assert len(told) == 2
    assert "event=configuration_refused" in machine.journal()
    machine.write("/etc/eniagent/config.toml", "poll_s = 1\nimds_poll_s = 2\nmetrics_listen = '127.0.0.1:61691'\n")
    machine.run("systemctl", "reload", "eniagent")
    machine.wait("the new port", lambda: machine.run("/usr/bin/python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 61691))", check=False).returncode == 0)
    machine.wait("no more refusal", lambda: last(machine).get("refused") == [])
    assert main_pid(machine) == pid


def test_second_daemon_ends_with_9(machine: Machine) -> None:
    """The lock in /run/eniagent holds: who comes second is told who has it."""
    done = machine.run("eniagent", "daemon", check=False)
    assert done.returncode == 9
    assert f"process {main_pid(machine)}" in done.stderr


def test_stops_within_its_time(machine: Machine) -> None:
    """SIGTERM ends it within 5 s, also while ipamd does not answer; nothing of it stays behind."""
    node.command(machine, "fault", "ipamd", "*", "hang")
    time.sleep(2.0)
    began_s = time.monotonic()
    machine.run("systemctl", "stop", "eniagent")
    assert time.monotonic() - began_s < 5.0
    node.command(machine, "clear")
    assert machine.show("eniagent", "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert machine.run("pgrep", "--exact", "journalctl", check=False).stdout == ""


def test_upgrade_keeps_the_history(machine: Machine) -> None:
    """New files and a restart: the incident of before is still told."""
    install.install(machine.root)
    node.rights_for_people(machine)
    machine.run("systemctl", "start", "eniagent", timeout_s=120)
    assert incident(machine)["cause"] == "subnet-exhausted"
    assert machine.wait("new snapshots", lambda: cycles(machine) >= 2)


def test_removal_leaves_nothing(machine: Machine) -> None:
    """Disabled, its files gone, its state purged: no unit, no process, no user's file is left."""
    machine.run("systemctl", "disable", "--now", "eniagent")
    machine.run("rm", "-rf", "/etc/systemd/system/eniagent.service.d", "/etc/eniagent", "/var/lib/eniagent", "/run/eniagent-runtime")
    machine.run("sh", "-c", "rm -f /var/log/support/eniagent_*")
    install.remove(machine.root)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed")
    assert machine.run("systemctl", "list-units", "--all", "--no-legend", "eniagent*", check=False).stdout == ""
    assert machine.run("pgrep", "--full", "eniagent", check=False).stdout == ""
    found = machine.out("find", "/etc", "/usr", "/opt", "/var", "/run", "-xdev", "(", "-user", "eniagent", "-o", "-iname", "*eniagent*", ")").splitlines()
    assert set(found) <= {"/var/log/support"}, found


