"""The manifests: rendered by kustomize, valid by Kubernetes' own schemas, with least rights; and what they mount is enough for the verdict."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from eniagent.demo import recording
from eniagent.demo.replay import Stage, stage

pytestmark = [pytest.mark.packages]

MANIFESTS = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/kubernetes"
FORMS = ("base", "bottlerocket", "auto-mode", "diagnose-node")
AGENT = pathlib.Path(sys.executable).with_name("eniagent")
WRITTEN = {"/host/var/log/support", "/host/var/lib/eniagent", "/var/lib/eniagent", "/run/eniagent", "/var/tmp"}


def rendered(form: str) -> list[dict[str, Any]]:
    """The objects that `kubectl apply -k` would apply."""
    words = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    done = subprocess.run([*words, str(MANIFESTS / form)], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pod(form: str) -> dict[str, Any]:
    """The pod's spec."""
    return next(one["spec"]["template"]["spec"] for one in rendered(form) if one["kind"] in ("DaemonSet", "Job"))


@pytest.mark.parametrize("form", FORMS)
def test_valid_by_the_schemas(form: str) -> None:
    """Every object is valid, strictly, for the oldest and the newest Kubernetes that EKS may run of the last years."""
    import kubernetes_validate

    objects = rendered(form)
    assert {one["kind"] for one in objects} == {"Namespace", "ServiceAccount", "Job" if form == "diagnose-node" else "DaemonSet"}
    for one in objects:
        assert one["metadata"].get("namespace", one["metadata"]["name"]) == "eniagent"
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_manifest_is_not_valid() -> None:
    """The check above can fail: a field that does not exist is refused."""
    import kubernetes_validate

    wrong = next(one for one in rendered("base") if one["kind"] == "DaemonSet")
    wrong["spec"]["template"]["spec"]["hostNetwrok"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.29", strict=True)


@pytest.mark.parametrize("form", FORMS)
def test_least_rights(form: str) -> None:
    """The host's network, no token, no privilege, two capabilities, a read-only root, and no way to the container runtime's socket."""
    spec = pod(form)
    (container,) = spec["containers"]
    rights = container["securityContext"]
    assert spec["hostNetwork"] is True
    assert not {"hostPID", "hostIPC"} & set(spec)
    assert spec["automountServiceAccountToken"] is False
    assert rights["capabilities"] == {"drop": ["ALL"], "add": ["DAC_READ_SEARCH", "SYS_PTRACE"]}
    assert (rights["privileged"], rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, False, True)
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"requests", "limits"} <= set(container["resources"])
    sources = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in spec["volumes"]}
    for path in filter(None, sources.values()):
        assert path not in ("/", "/run", "/var/run", "/etc", "/var", "/var/lib", "/root")
        assert not "/run/containerd/containerd.sock".startswith(path)
    for mount in container["volumeMounts"]:
        assert mount.get("readOnly") is True or mount["mountPath"] in WRITTEN, mount
    assert {mount["name"] for mount in container["volumeMounts"]} == set(sources)


@pytest.mark.parametrize("form", ["base", "bottlerocket", "auto-mode"])
def test_the_daemon_is_watched(form: str) -> None:
    """Probes ask where the daemon answers by default, and nothing keeps it off a tainted node."""
    from eniagent.edge.settings import Settings

    (container,) = pod(form)["containers"]
    host, _, port = Settings().metrics_listen.rpartition(":")
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"host": host, "port": int(port), "path": "/metrics"}
    assert container["args"][-1] == "daemon"
    assert pod(form)["tolerations"] == [{"operator": "Exists"}]


def test_where_each_form_runs() -> None:
    """Bottlerocket gets its SELinux type, Auto Mode its nodes, the job the one node that was named and nothing to write to."""
    assert "seLinuxOptions" not in pod("base")["containers"][0]["securityContext"]
    for form in ("bottlerocket", "auto-mode"):
        assert pod(form)["containers"][0]["securityContext"]["seLinuxOptions"]["type"] == "control_t"
    assert pod("auto-mode")["nodeSelector"]["eks.amazonaws.com/compute-type"] == "auto"
    job = pod("diagnose-node")
    assert (job["nodeName"], job["restartPolicy"]) == ("NODE-NAME", "Never")
    assert all(mount["readOnly"] for mount in job["containers"][0]["volumeMounts"])


@pytest.fixture
def staged() -> Iterator[Stage]:
    """A replayed node: its files are the host's."""
    with ExitStack() as until:
        yield stage(recording.find("subnet-exhausted"), until=until)


def as_mounted(form: str, staged: Stage, place: pathlib.Path) -> str:
    """Shell lines that make /host in `place` of just what the manifest mounts, from the replayed host, with its modes."""
    (container,) = pod(form)["containers"]
    sources = {volume["name"]: volume["hostPath"]["path"] for volume in pod(form)["volumes"] if "hostPath" in volume}
    lines = []
    for mount in sorted(container["volumeMounts"], key=lambda one: str(one["mountPath"])):
        source = staged.directory / "root" / sources.get(mount["name"], "/nowhere").lstrip("/")
        if mount["mountPath"].startswith("/host/") and source.exists():
            target = place / mount["mountPath"].lstrip("/")
            kind = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p {target.parent}; touch {target}"
            lines += [kind, f"mount --bind {source} {target}", *([f"mount -o remount,bind,ro {target}"] if mount.get("readOnly") else [])]
    return "\n".join(lines)


@pytest.mark.netns
@pytest.mark.sockets
@pytest.mark.parametrize("form", ["base", "diagnose-node"])
def test_what_is_mounted_is_enough(form: str, staged: Stage, tmp_path: pathlib.Path) -> None:
    """With only the manifest's mounts below --root and only its capabilities, the verdict and what was not seen are those of the whole host."""
    options = [*staged.options(), "diagnose", "--format", "json"]
    whole = subprocess.run([AGENT, *options], env=staged.environment(), check=True, stdout=subprocess.PIPE, cwd="/usr/bin").stdout
    options[1] = str(tmp_path / "host")
    rights = "setpriv --bounding-set=-all,+dac_read_search,+sys_ptrace --no-new-privs"
    lines = [as_mounted(form, staged, tmp_path), f"exec {rights} {AGENT} {' '.join(map(shlex.quote, options))}"]
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(lines)]
    inside = subprocess.run(words, env=staged.environment(), check=True, stdout=subprocess.PIPE, cwd="/usr/bin").stdout
    first, second = (yaml.safe_load(answer) for answer in (whole, inside))
    assert first["verdict"] == second["verdict"] == "critical"
    assert [cause["code"] for cause in first["causes"]] == [cause["code"] for cause in second["causes"]]
    assert [cause["confidence"] for cause in first["causes"]] == [cause["confidence"] for cause in second["causes"]]
    assert [(one["source"], one["why"]) for one in first["unobserved"]] == [(one["source"], one["why"]) for one in second["unobserved"]]
