"""Secrets: none of any kind is left in any kind of file, and what is no secret is left as it is, byte for byte."""

from __future__ import annotations

import gzip
import json
import pathlib
import random
import time
import urllib.parse
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.redact import Scrubber
from tests.cases import all_recorded
from tests.recorded import TESTS, unpack
from tests.redact.ordinary import LINES
from tests.redact.places import PLACES, URL_ENCODED, url_encoded
from tests.redact.planted import Planted, planted

EVERYWHERE = {**PLACES, URL_ENCODED: url_encoded}


def scrubbed(data: bytes, *, chunk: int = 1 << 20, strength: str = "secrets") -> bytes:
    """The bytes through a scrubber, in chunks of one size."""
    pieces = (data[at : at + chunk] for at in range(0, len(data), chunk))
    return b"".join(Scrubber(strength).scrub_chunks(pieces, kind="test"))


def left(secret: Planted, out: str) -> list[str]:
    """What is still to be seen of a secret, as it is, in JSON or in a URL."""
    forms = {h: (h, json.dumps(h)[1:-1], urllib.parse.quote(h, safe="")) for h in secret.hidden}
    return [h for h, spelled in forms.items() if any(s in out for s in spelled)]


def test_two_hundred_secrets_are_planted_in_each_place() -> None:
    """The sets below are no smaller than they claim."""
    assert len({p.kind for p in planted(1)}) > 100
    assert sum(len(planted(seed)) for seed in (1, 2)) >= 200
    assert all(p.hidden and all(len(h) >= 6 for h in p.hidden) for p in planted(1))


@pytest.mark.parametrize("place", sorted(EVERYWHERE))
def test_no_planted_secret_is_left(place: str) -> None:
    """Of 200 secrets of every kind in one kind of file nothing is left, and each is counted."""
    found = []
    for seed in (1, 2):
        for secret in planted(seed):
            text = EVERYWHERE[place](secret.text)
            assert left(secret, text) == list(secret.hidden), f"{secret.kind} was not planted"
            by = Scrubber("secrets")
            out = b"".join(by.scrub_chunks([text.encode()], kind=place)).decode()
            if left(secret, out) or not sum(by.counts.values()):
                found.append(f"{secret.kind}: {left(secret, out)}")
    assert found == []


def test_secrets_across_the_borders_of_reads_are_gone() -> None:
    """However a stream is cut into chunks, the result is the same, with no secret in it."""
    dice = random.Random(3)
    secrets = planted(3)
    text = "".join(EVERYWHERE[dice.choice(sorted(EVERYWHERE))](secret.text) + "\n" for secret in secrets)
    whole = scrubbed(text.encode())
    assert [s.kind for s in secrets if left(s, whole.decode())] == []
    for chunk in (1, 7, 61, 997, 4096, 65536):
        assert scrubbed(text.encode(), chunk=chunk) == whole


@given(st.lists(st.sampled_from(planted(4)), min_size=1, max_size=4), st.sampled_from(sorted(PLACES)), st.integers(1, 300))
@settings(max_examples=200, deadline=None)
def test_scrubbing_again_changes_nothing(secrets: list[Planted], place: str, chunk: int) -> None:
    """What was scrubbed holds nothing more to remove, and does not depend on the chunks."""
    data = "".join(PLACES[place](s.text) for s in secrets).encode()
    once = scrubbed(data, chunk=chunk)
    assert scrubbed(once) == once == scrubbed(data)


def test_json_stays_json() -> None:
    """A captured document is one after scrubbing too, with the same keys: a bundle is read again."""
    for secret in planted(5):
        for place in ("logs/ipamd.log", "journal/kubelet.jsonl", "ipamd/enis.json", "ipamd/env.json", "imds/tree.json", "kubelet/config.json", "cni/net.d/10-aws.conflist"):
            text = PLACES[place](secret.text)
            out = scrubbed(text.encode()).decode()
            documents = text.splitlines() if place.endswith((".log", ".jsonl")) else [text]
            told = out.splitlines() if place.endswith((".log", ".jsonl")) else [out]
            assert [sorted(json.loads(d)) for d in told] == [sorted(json.loads(d)) for d in documents], (secret.kind, place)


def test_a_private_key_over_many_journal_entries_is_gone() -> None:
    """Each line of a key in an entry of its own: the key goes, the entries before and after stay."""
    for secret in planted(6)[-5:]:
        entries = [json.dumps({"__CURSOR": "s=77622d125cce0bd8a36af4c35429fcef;i=1", "MESSAGE": line}) for line in ("before", *secret.text.split("\n"), "after it all")]
        out = scrubbed("\n".join(entries).encode()).decode()
        assert left(secret, out) == []
        assert json.loads(out.splitlines()[0])["MESSAGE"] == "before" and json.loads(out.splitlines()[-1])["MESSAGE"] == "after it all"
        assert out.count("s=77622d125cce0bd8a36af4c35429fcef") == len(entries)


def test_yaml_blocks_and_secret_objects_are_emptied() -> None:
    """A block scalar under a secret's key, and the data of a Secret, line by line; their neighbours stay."""
    text = (
        "a: 1\npassword: |\n  first hunter2line\n  second hunter2line\nb: 2\n---\napiVersion: v1\nkind: Secret\ndata:\n  tls.key: aHVudGVyMmxpbmU=\n  x: "
        "aHVudGVyMmxpbmU=\nmetadata:\n  name: keep-me\n---\nend: here\n"
    )
    out = scrubbed(text.encode()).decode()
    assert "hunter2" not in out and "aHVudGVyMmxpbmU" not in out
    assert [line for line in out.splitlines() if line in ("a: 1", "b: 2", "  name: keep-me", "end: here", "kind: Secret")] == ["a: 1", "b: 2", "kind: Secret", "  name: keep-me", "end: here"]


@pytest.mark.parametrize("line", LINES)
def test_ordinary_lines_are_left_as_they_are(line: str) -> None:
    """Lines that only look like secrets pass untouched, wherever they stand."""
    for text in (line, *(wrap(line) for wrap in PLACES.values())):
        data = text.encode()
        assert scrubbed(data) == data


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def test_field_texts_are_left_as_they_are() -> None:
    """Texts from the field: nothing in over a thousand of them is taken for a secret."""
    with gzip.open(TESTS / "data" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [text for line in lines for text in _texts(json.loads(line))]
    assert len(texts) > 1000
    assert [text for text in texts if scrubbed(text.encode()) != text.encode()] == []


@pytest.mark.parametrize("name", all_recorded())
def test_recordings_pass_untouched(name: str, tmp_path: pathlib.Path) -> None:
    """No byte of any recorded file changes: ids, addresses, digests and cursors are what a diagnosis is made of."""
    files = [path for path in sorted(unpack(name, tmp_path).rglob("*")) if path.is_file()]
    assert files
    by = Scrubber("secrets")
    assert [p.name for p in files if b"".join(by.scrub_chunks([p.read_bytes()], kind=p.name)) != p.read_bytes()] == []
    assert by.counts == {} and by.left_out == []


HOSTILE = (b"token=", b'"password":"', b'"password":"x",', b"%41", b"%41 ", b"dG9rZW4", b"dG9rZW4 ", b"://a:b@", b"AKIA", b"Authorization: Bearer ", b'authorization: "', b"kind: secret ", b"-----BEGIN PRIVATE KEY-----", b"\\", b"token: |\n", b"password='")


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_lines_cost_no_more_than_their_length(unit: bytes) -> None:
    """Twice the length takes about twice the time: no input makes the scrubber stand still."""

    def took(size: int) -> float:
        data = unit * (size // len(unit))
        started = time.process_time()
        scrubbed(data)
        return time.process_time() - started

    scrubbed(unit)
    short = min(took(100_000) for _ in range(2))
    assert took(800_000) < 24 * short + 0.3
