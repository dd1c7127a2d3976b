"""A bucket on a moto server behind a TLS front, an authority to trust, and a bundle to send."""

from __future__ import annotations

import logging
import os
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.upload import authority, sigv4
from tests.upload.authority import Authority
from tests.upload.front import Front

BUCKET = "bundles"


class Store(msgspec.Struct, frozen=True):
    """The moto server, asked without the front."""

    url: str

    def client(self) -> Any:
        """A client of its own."""
        import boto3
        from botocore.config import Config

        # Older releases of moto tell a checksum of parts without their number, and the SDK would hold that for one of the whole.
        config = Config(response_checksum_validation="when_required")
        return boto3.client("s3", region_name=sigv4.REGION, endpoint_url=self.url, aws_access_key_id=sigv4.ACCESS, aws_secret_access_key=sigv4.SECRET, config=config)

    def get(self, key: str) -> bytes:
        """What stands there."""
        return bytes(self.client().get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        """All that stands there."""
        return [each["Key"] for each in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def unfinished(self) -> list[str]:
        """Uploads in parts that nobody ended."""
        return [each["UploadId"] for each in self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """A moto server on a real socket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def store(moto_url: str) -> Iterator[Store]:
    """An empty bucket."""
    import boto3

    new = Store(moto_url)
    new.client().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": sigv4.REGION})
    yield new
    for upload in new.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        new.client().abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    boto3.resource("s3", region_name=sigv4.REGION, endpoint_url=moto_url, aws_access_key_id="a", aws_secret_access_key="b").Bucket(BUCKET).objects.all().delete()
    new.client().delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the front's certificate."""
    return authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def front(store: Store, trust: Authority) -> Iterator[Front]:
    """The bucket as a client sees it."""
    with Front(store.url, trust.context) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """No proxy, no credentials and no metadata service of this machine."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ENIAGENT_", "SSL_CERT")) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in credentials().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENIAGENT_STATE_DIR", str(tmp_path / "state"))
    for name in ("NO_PROXY", "no_proxy"):
        # Named here, so that what an upload adds for the SDK is taken away again after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def credentials() -> dict[str, str]:
    """The SDK's own variables."""
    return {
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": sigv4.ACCESS, "AWS_SECRET_ACCESS_KEY": sigv4.SECRET, "AWS_REGION": sigv4.REGION,
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }  # fmt: skip


@pytest.fixture
def bundle(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file of 400 kB that no compression makes smaller, so that it does not fit into socket buffers and one piece."""
    path = tmp_path / "eniagent_i-0_20250101T000000Z_ab12.tar.gz"
    path.write_bytes(random.Random(1).randbytes(400_000))
    return path
