"""Law L2: diagnose(redact(case)) == redact(diagnose(case)), in both strengths, on every recording."""

from __future__ import annotations

import msgspec
import pytest

from eniagent.diagnose import diagnose
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.redact import redact_case, redact_diagnosis, scrubber_for
from eniagent.redact.walk import visit
from tests.build import NOW, healthy_snapshot
from tests.cases import all_recorded, recorded_case
from tests.laws.canonical import canonical

KEYS = (b"a first key of redaction........", b"a second key of redaction.......")


@pytest.mark.parametrize("strength", ["secrets", "identifiers"])
@pytest.mark.parametrize("name", all_recorded())
def test_redaction_and_diagnosis_commute(name: str, strength: str) -> None:
    """Support reads the verdict that the node gave, with the same evidence under other names."""
    whole = recorded_case(name)
    for key in KEYS if strength == "identifiers" else KEYS[:1]:
        by = scrubber_for(whole, strength=strength, key=key)
        of_redacted = msgspec.structs.replace(diagnose(redact_case(whole, by=by)), redaction=strength)
        redacted = redact_diagnosis(diagnose(whole), by=by)
        assert canonical(of_redacted) == canonical(redacted)
        assert by.left_out == []


@pytest.mark.parametrize("name", all_recorded())
def test_secrets_alone_change_no_value(name: str) -> None:
    """Where no secret is, the strength `secrets` gives the same case: support needs the true ids."""
    whole = recorded_case(name)
    assert redact_case(whole, by=scrubber_for(whole, strength="secrets", key=b"")) == whole


@pytest.mark.parametrize("name", all_recorded()[::5])
def test_no_typed_identity_is_left(name: str) -> None:
    """No pod, address, MAC or id of the case is a value of the redacted one; counts and times are the same."""
    whole = recorded_case(name)
    by = scrubber_for(whole, strength="identifiers", key=KEYS[0])
    told = redact_case(whole, by=by)
    kinds = ("PodName", "SandboxId", "EniId", "InstanceId", "Mac", "address")
    readable = ("kube-system/", "127.", "169.254.", "::1", "00:00:00", "0.0.0.0", "10.100.0.1", "172.20.0.1")
    before = {str(v.value) for v in visit(whole) if v.kind in kinds and v.value and not str(v.value).startswith(readable)}
    after = {str(v.value) for v in visit(told) if v.kind in kinds}
    assert len(before) > 5 and not before & after
    assert [s.taken_at for s in (told.now, *told.before)] == [s.taken_at for s in (whole.now, *whole.before)]


@pytest.mark.parametrize("empty", [Case(now=NodeSnapshot(taken_at=NOW)), Case(now=healthy_snapshot())])
def test_cases_that_nobody_recorded(empty: Case) -> None:
    """Readings that were not taken stay so, and a built node is no other."""
    for strength in ("secrets", "identifiers", "none"):
        by = scrubber_for(empty, strength=strength, key=KEYS[0])
        assert diagnose(redact_case(empty, by=by)).verdict is diagnose(empty).verdict
        assert redact_diagnosis(diagnose(empty), by=by).redaction == strength
