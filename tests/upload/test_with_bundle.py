"""A bundle that is uploaded by the run that writes it: the verdict first, the path before the upload, the outcome in the bundle's line."""

from __future__ import annotations

import json
import pathlib
import re
import time

import pytest

from eniagent.demo import recording
from tests.cli import command
from tests.recorded import unpack
from tests.upload import sigv4
from tests.upload.authority import Authority
from tests.upload.conftest import BUCKET, Store, credentials
from tests.upload.front import Front

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Captures of a node whose subnet is full."""
    return unpack(recording.find("subnet-exhausted").recording, tmp_path_factory.mktemp("sick"))


def environment(tmp_path: pathlib.Path, front: Front, trust: Authority) -> dict[str, str]:
    """A node of its own below a temporary directory."""
    (tmp_path / "bundles").mkdir(exist_ok=True, mode=0o700)
    return {
        "PATH": command.PATH, **credentials(), "ENIAGENT_STATE_DIR": str(tmp_path / "state"), "ENIAGENT_BUNDLE_DIR": str(tmp_path / "bundles"),
        "ENIAGENT_UPLOAD_CA_FILE": trust.ca_file, "AWS_ENDPOINT_URL_S3": front.url,
    }  # fmt: skip


@pytest.mark.parametrize("words", [["diagnose", "--bundle"], ["diagnose"], ["bundle", "create"]], ids=" ".join)
def test_the_bundles_line_tells_that_it_arrived(front: Front, store: Store, trust: Authority, sick: pathlib.Path, tmp_path: pathlib.Path, words: list[str]) -> None:
    """The verdict's line comes first, then the path, then upload=ok; what stands in the bucket is the file; stderr is silent."""
    done = command.run(*words, "--from", str(sick), "--upload", f"s3://{BUCKET}/cases", environment=environment(tmp_path, front, trust))
    out = done.stdout.decode("ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.startswith("ENIAGENT verdict=critical cause=subnet-exhausted ")
    (path,) = re.findall(r"^ENIAGENT-BUNDLE path=(\S+) sha256=[0-9a-f]{64} upload=ok", out, re.MULTILINE)
    assert out.index(f"bundle: written to {path}") < out.index("ENIAGENT-BUNDLE")
    assert store.get(f"cases/{pathlib.Path(path).name}") == pathlib.Path(path).read_bytes()


@pytest.mark.parametrize("words", [["diagnose", "--fail-on", "critical"], ["diagnose", "--format", "json"], ["bundle", "create"]], ids=" ".join)
def test_an_upload_that_fails_costs_neither_verdict_nor_bundle(front: Front, trust: Authority, sick: pathlib.Path, tmp_path: pathlib.Path, words: list[str]) -> None:
    """Exit 6, which goes before the verdict's own code; upload=failed; the bundle is where its line says."""
    front.clock_ahead_s = 10_000
    address = sigv4.presign(f"{front.url}/{BUCKET}/k")
    done = command.run(*words, "--from", str(sick), "--upload", address, environment=environment(tmp_path, front, trust))
    out, err = done.stdout.decode("ascii"), done.stderr.decode("ascii")
    assert done.returncode == 6
    assert "Request has expired" in err and "the bundle is kept at" in err and sigv4.TOKEN not in out + err
    if "json" in words:
        told = json.loads(out)
        assert (told["verdict"], told["bundle"]["upload"]) == ("critical", "failed")
        path = told["bundle"]["path"]
    else:
        assert out.startswith("ENIAGENT verdict=critical ")
        (path,) = re.findall(r"^ENIAGENT-BUNDLE path=(\S+) sha256=[0-9a-f]{64} upload=failed", out, re.MULTILINE)
    assert pathlib.Path(path).is_file() and path in err


def test_an_address_that_cannot_work_is_told_before_the_node_is_looked_at(tmp_path: pathlib.Path, front: Front, trust: Authority, sick: pathlib.Path) -> None:
    """Exit 2, no verdict, no bundle."""
    for words in (["diagnose"], ["bundle", "create"]):
        done = command.run(*words, "--from", str(sick), "--upload", "http://host/k?X-Amz-Signature=abcdef01", environment=environment(tmp_path, front, trust))
        assert (done.returncode, done.stdout, b"plain http" in done.stderr, b"abcdef01" in done.stderr) == (2, b"", True, False)
    assert list((tmp_path / "bundles").iterdir()) == []


def test_the_deadline_of_the_run_bounds_the_upload(front: Front, trust: Authority, sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """One deadline for look, bundle and upload: what is left of it is the upload's, and a server that stalls ends with it."""
    front.faults, front.lasting = ["silent"], True
    began_s = time.monotonic()
    done = command.run("bundle", "create", "--from", str(sick), "--deadline", "8", "--upload", f"s3://{BUCKET}/p", environment=environment(tmp_path, front, trust))
    assert (done.returncode, b"upload=failed" in done.stdout) == (6, True)
    assert time.monotonic() - began_s < 20


def test_without_upload_the_line_says_none(front: Front, trust: Authority, sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Also where an address is configured: that one is the daemon's."""
    done = command.run("diagnose", "--bundle", "--from", str(sick), environment={**environment(tmp_path, front, trust), "ENIAGENT_UPLOAD_TO": f"s3://{BUCKET}/p"})
    assert (done.returncode, b" upload=none" in done.stdout, front.connections) == (0, True, 0)
