"""ipamd's environment."""

from __future__ import annotations

import pytest

from eniagent.model.probe import ReadEnvironment
from eniagent.model.reading import Why
from eniagent.sources import environment
from tests.sources.recorded_captures import recorded, refusal, seen_of, value


def test_only_the_list_is_kept() -> None:
    """Names beyond the list never reach a snapshot, whoever wrote the capture."""
    data = b'{"WARM_IP_TARGET":"5","AWS_SECRET_ACCESS_KEY":"x","ADDITIONAL_ENI_TAGS":"{}","HTTPS_PROXY":"http://u:p@h","MAX_ENI":4}'
    assert value("environment", seen_of({environment.FILE: data})).values == {"WARM_IP_TARGET": "5", "MAX_ENI": "4"}


def test_the_probe_asks_for_the_list() -> None:
    """The edge is asked for ipamd's process and for no name that could hold a secret."""
    (probe,) = environment.plan({})
    assert isinstance(probe, ReadEnvironment)
    assert (probe.process, probe.allowed) == ("aws-k8s-agent", environment.ALLOWED)
    assert not [name for name in probe.allowed if "SECRET" in name or "TOKEN" in name or name in ("HTTP_PROXY", "HTTPS_PROXY")]


@pytest.mark.parametrize("data", [b"{}", b'{"PATH":"/bin"}', b"[]", b'"WARM_IP_TARGET=5"'])
def test_another_environment_is_malformed(data: bytes) -> None:
    """An environment without any of ipamd's variables is not ipamd's."""
    assert refusal("environment", seen_of({environment.FILE: data})).why is Why.MALFORMED


def test_recorded_environment() -> None:
    """A real ipamd's variables, all of them on the list."""
    found = value("environment", recorded("v1.23.0-healthy-prefix")).values
    assert found["ENABLE_PREFIX_DELEGATION"] == "true"
    assert (found["VPC_CNI_VERSION"], found["WARM_PREFIX_TARGET"]) == ("v1.23.0", "1")
