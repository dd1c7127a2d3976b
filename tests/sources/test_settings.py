"""The settings that introspection tells."""

from __future__ import annotations

import pytest

from eniagent.model.reading import Why
from eniagent.sources import settings
from tests.sources.recorded_captures import capture, recorded, refusal, seen_of, value

TABLES = {
    settings.IPAMD: b'{"WARM_ENI_TARGET":1,"WARM_IP_TARGET":0,"ENABLE_SUBNET_DISCOVERY":true}',
    settings.NETWORK: b'{"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS":["10.0.0.0/8","10.1.0.0/16"],"AWS_EXTERNAL_SERVICE_CIDRS":null}',
}
ROOT = b'{"AvailableCommands":["/v1/enis"]}'


def test_three_endpoints_join() -> None:
    """Both tables as text, lists comma-joined, and the ENIConfig's name."""
    found = value("settings", seen_of({**TABLES, settings.ENI_CONFIGS: b'"us-west-2a"'}))
    assert found.values == {
        "WARM_ENI_TARGET": "1",
        "WARM_IP_TARGET": "0",
        "ENABLE_SUBNET_DISCOVERY": "true",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "10.0.0.0/8,10.1.0.0/16",
        "AWS_EXTERNAL_SERVICE_CIDRS": "",
    }
    assert (found.eni_config, found.incomplete) == ("us-west-2a", ())


def test_the_old_shape_of_eni_configs() -> None:
    """Up to 1.7 an object holds all ENIConfigs and the node's own under `MyENI`."""
    old = b'{"ENI":{"a":{"securityGroups":["sg-1"],"subnet":"subnet-1"}},"MyENI":"a"}'
    assert value("settings", seen_of({**TABLES, settings.ENI_CONFIGS: old})).eni_config == "a"


def test_a_node_object_that_ipamd_cannot_read() -> None:
    """A 404 of eni-configs leaves the name unknown and is told: it is the API server's trouble."""
    seen = {**seen_of(TABLES), settings.ENI_CONFIGS: capture(settings.ENI_CONFIGS, b"Not Found\n", status=404)}
    found = value("settings", seen)
    assert found.eni_config is None
    assert found.incomplete == ("/v1/eni-configs: malformed (HTTP 404)",)


@pytest.mark.parametrize("file", [settings.IPAMD, settings.NETWORK])
def test_the_root_document_is_no_table(file: str) -> None:
    """An old release answers an endpoint that it lacks with its command list: that part is missing, its keys unknown."""
    found = value("settings", seen_of({**TABLES, file: ROOT, settings.ENI_CONFIGS: b'"default"'}))
    assert "AvailableCommands" not in found.values
    assert "AvailableCommands" in found.incomplete[0]


def test_nothing_but_a_name_is_not_settings() -> None:
    """Without either table the settings are unobserved, whatever eni-configs says."""
    refused = {file: capture(file, failure=Why.REFUSED) for file in TABLES}
    assert refusal("settings", {**refused, **seen_of({settings.ENI_CONFIGS: b'"default"'})}).why is Why.REFUSED
    assert refusal("settings", {settings.NETWORK: capture(settings.NETWORK, failure=Why.TIMED_OUT)}).why is Why.TIMED_OUT


def test_recorded_settings() -> None:
    """Real replies of two releases: the keys that each has."""
    new, old = value("settings", recorded("v1.23.0-healthy-busy")), value("settings", recorded("v1.15.5-healthy-busy"))
    assert new.values["ENABLE_SUBNET_DISCOVERY"] == "true"
    assert "ENABLE_SUBNET_DISCOVERY" not in old.values
    assert (new.values["AWS_VPC_K8S_CNI_CONNMARK"], old.eni_config) == ("128", "default")
