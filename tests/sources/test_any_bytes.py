"""Law L4: whatever the bytes and the circumstances, `read` gives a reading, and only what was really there is observed."""

from __future__ import annotations

import functools
import json
from typing import Any, Optional

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eniagent import sources
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.codec import decode, encode
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot
from tests.sources.recorded_captures import FIELDS, FILES, REPRESENTATIVE, SPAN, capture, read, recorded, seen_of

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

IN_PARTS = ("settings", "routing")
"""Fields that are observed as soon as one of their parts is, and name the others in `incomplete`."""

EXTRA: dict[str, bytes] = {
    "host/processes.json": b'{"booted_at":"2026-02-26T12:00:00Z","running":[{"name":"kubelet","pid":900,"started_at":"2026-02-26T12:00:09.5Z"}]}',
    "kubelet/cmdline.txt": b"/usr/bin/kubelet\n--config\n/etc/kubernetes/kubelet/config.json\n--config-dir=/etc/kubernetes/kubelet/config.json.d\n",
    "kubelet/config.json.d/40-x.conf": b'{"kind":"KubeletConfiguration","maxPods":58}',
    "cni/net.d/10-aws.conflist": b'{"cniVersion":"0.4.0","plugins":[{"type":"aws-cni"},{"type":"portmap"}]}',
    "cni/bin.json": b'["aws-cni","portmap"]',
    "runtime/pods.json": b'{"items":[{"id":"ab","metadata":{"name":"web-0","namespace":"default"},"state":"SANDBOX_READY","createdAt":"1795616379726210145"}]}',
    "runtime/containers.json": b'{"containers":[{"metadata":{"name":"aws-node"},"image":{"image":"sha256:1"},"imageRef":"sha256:1"}]}',
    "runtime/images.json": b'{"images":[{"id":"sha256:1","repoTags":["x/amazon-k8s-cni:v1.19.3"]}]}',
    "runtime/tasks.txt": b"TASK    PID    STATUS\nab    12    RUNNING\n",
    "ipamd/checkpoint/ipam-nic-1.json": b'{"version":"vpc-cni-ipam/1","allocations":[]}',
}
"""Contents for the files that the recordings do not have."""

NASTY = (b"", b" ", b"\0", b"\xff\xfe", b"{}", b"[]", b"[[]]", b"null", b"0", b'""', b'"\\ud800"', b"1e999", b"{" * 4000, b"[" * 100_000, b"-" * 9)


def real(name: str) -> dict[str, Capture]:
    """A recorded node, with what the recording lacks."""
    return {**seen_of(EXTRA), **recorded(name)}


def holds_law(reading: Reading[Any], *, field: str) -> None:
    """A reading, and one that a record can hold."""
    assert isinstance(reading, (Observed, Unobserved))
    snapshot = msgspec.structs.replace(NodeSnapshot(taken_at=SPAN.until), **{field: reading})
    assert decode(encode(snapshot), NodeSnapshot) == snapshot


@pytest.mark.parametrize("field", FIELDS)
def test_any_bytes_give_a_reading(field: str) -> None:
    """Arbitrary bytes in every file of the source: a reading, and never one that claims to have seen ipamd, IMDS or the kernel."""

    @QUICK
    @given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(NASTY)), min_size=4, max_size=4))
    def holds(contents: list[bytes]) -> None:
        reading = read(field, seen_of(dict(zip(FILES[field], contents))))
        holds_law(reading, field=field)
        if field not in ("cni_config", "kubelet_config", *IN_PARTS):
            assert isinstance(reading, Unobserved)

    holds()


@pytest.mark.parametrize("data", NASTY, ids=lambda data: repr(data[:8]))
@pytest.mark.parametrize("field", FIELDS)
def test_nasty_bytes_are_malformed(field: str, data: bytes) -> None:
    """Bytes that parse as something, and nesting that no parser survives: malformed, with a word on what is wrong."""
    seen = seen_of(dict.fromkeys(FILES[field], data))
    reading = read(field, seen)
    holds_law(reading, field=field)
    if field == "cni_config":
        # A broken configuration is what the runtime sees, too: the value tells it.
        assert isinstance(reading, Observed) and reading.value.error
    elif field != "release":
        assert isinstance(reading, Unobserved) or (field in IN_PARTS and reading.value.incomplete), reading
        assert isinstance(reading, Observed) or (reading.why is Why.MALFORMED and reading.detail)


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize("field", FIELDS)
def test_cut_captures(field: str, name: str) -> None:
    """A file that ends early, anywhere: a reading; a JSON document that is cut is never observed."""

    @QUICK
    @given(st.sampled_from(FILES[field]), st.floats(0, 1, exclude_max=True))
    def holds(file: str, share: float) -> None:
        seen = real(name)
        data = seen[file].body()
        cut = data[: int(len(data) * share)]
        reading = read(field, {**seen, file: capture(file, cut)})
        holds_law(reading, field=field)
        whole_json = data.startswith((b"{", b"[")) and cut.strip() != data.strip()
        if whole_json and field in ("ipam", "environment", "checkpoint", "metadata", "links", "sysctls", "processes"):
            assert isinstance(reading, Unobserved) and reading.why is Why.MALFORMED

    holds()


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize("field", FIELDS)
def test_flipped_bytes(field: str, name: str) -> None:
    """Some bytes overwritten: a reading."""

    @QUICK
    @given(st.sampled_from(FILES[field]), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
    def holds(file: str, flips: list[tuple[float, int]]) -> None:
        seen = real(name)
        data = bytearray(seen[file].body())
        for share, byte in flips:
            data[int(len(data) * share)] = byte
        holds_law(read(field, {**seen, file: capture(file, bytes(data))}), field=field)

    holds()


OTHER: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1 << 70, 1e300, "", "x", "0001-01-01T00:00:00Z", [], [None], {}, {"x": 1}, [{}], "10.0.0.1/99"])


@functools.lru_cache(maxsize=64)
def places(data: bytes) -> tuple[tuple[Any, ...], ...]:
    """The paths of all values within a JSON document."""
    found: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        found.append(path)
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            walk(item, (*path, key))

    walk(json.loads(data), ())
    return tuple(found)


def swapped(data: bytes, path: tuple[Any, ...], value: Any) -> bytes:
    """The document with one value replaced."""
    if not path:
        return json.dumps(value).encode()
    document = json.loads(data)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize("field", FIELDS)
def test_swapped_types(field: str, name: str) -> None:
    """One value of a real document replaced by one of another type: a reading."""
    files = [file for file in FILES[field] if real(name)[file].body().startswith((b"{", b"["))]
    if not files:
        files = ["ipamd/env.json"]

    @QUICK
    @given(st.data(), st.sampled_from(files), OTHER)
    def holds(data: st.DataObject, file: str, other: Any) -> None:
        seen = real(name)
        whole = seen[file].body()
        path = data.draw(st.sampled_from(places(whole)))
        holds_law(read(field, {**seen, file: capture(file, swapped(whole, path, other))}), field=field)

    holds()


@pytest.mark.parametrize("field", FIELDS)
def test_any_circumstances(field: str) -> None:
    """Every status, exit code and failure: a reading, observed only where nothing speaks against the content."""

    @QUICK
    @given(st.one_of(st.none(), st.integers(0, 999)), st.one_of(st.none(), st.integers(-64, 255)), st.one_of(st.none(), st.sampled_from(Why)), st.booleans())
    @example(401, None, None, False)
    def holds(status: Optional[int], code: Optional[int], failure: Optional[Why], truncated: bool) -> None:
        seen = real("v1.23.0-healthy-busy")
        for file in FILES[field]:
            about = Circumstances(probe="t", file=file, status=status, exit=code, failure=failure, truncated=truncated)
            seen[file] = Capture(about, seen[file].body())
        reading = read(field, seen)
        holds_law(reading, field=field)
        if failure is not None and field not in ("cni_config", "release"):
            assert isinstance(reading, Unobserved) and reading.why is failure

    holds()


@pytest.mark.parametrize("field", FIELDS)
def test_nobody_looked(field: str) -> None:
    """Without any capture the reading is *not collected*, and the source says what to look at, if it has a look of its own."""
    reading = read(field, {})
    assert isinstance(reading, Unobserved) and reading.why is Why.NOT_COLLECTED
    assert reading.source == getattr(NodeSnapshot(taken_at=SPAN.until), field).source
    assert sources.source(field).plan({}) or field == "release"
