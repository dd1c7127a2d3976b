"""ipamd's metrics page."""

from __future__ import annotations

import re
from typing import Optional

import pytest

from eniagent.model.cni import Metrics
from eniagent.model.reading import Why
from eniagent.sources import metrics
from tests.sources.recorded_captures import REPRESENTATIVE, capture, recorded, refusal, seen_of, value


def page(text: str) -> Metrics:
    """What the source makes of a page."""
    found = value("metrics", seen_of({metrics.FILE: text.encode()}))
    assert isinstance(found, Metrics)
    return found


def test_kept_series() -> None:
    """ipamd's own and the process's series are kept; Go's, comments, time stamps and empty quantiles are not."""
    found = page(
        "# HELP awscni_eni_max x\n# TYPE awscni_eni_max gauge\n"
        "awscni_eni_max 3\ngo_goroutines 40\nprocess_start_time_seconds 1.79561579475e+09 1395066363000\n"
        'awscni_aws_api_latency_ms{api="A",quantile="0.5"} NaN\nawscni_ipamd_error_count{fn="a"} 1\nawscni_ipamd_error_count{fn="b"} 2\n'
    )
    assert {s.name for s in found.samples} == {"awscni_eni_max", "process_start_time_seconds", "awscni_ipamd_error_count"}
    assert (found.value("awscni_ipamd_error_count"), found.value("process_start_time_seconds")) == (3.0, 1795615794.75)
    assert found.value("awscni_no_available_ip_addresses") is None


def test_labels() -> None:
    """Escapes, commas and braces within a label's value, blanks and a trailing comma between labels."""
    found = page('awscni_x{ a="q\\"u,o}te" , b="back\\\\slash\\nline", } 1\n')
    assert found.samples[0].labels == {"a": 'q"u,o}te', "b": "back\\slash\nline"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "operation error EC2: DeleteNetworkInterface, https response error StatusCode: 400, RequestID: 1b2c, api error "
            "InvalidNetworkInterface.InUse: Network interface 'eni-0a' is currently in use.",
            "InvalidNetworkInterface.InUse",
        ),
        ("freeENI: failed: UnauthorizedOperation: You are not authorized to perform this operation. status code: 403, request id: 9", "UnauthorizedOperation"),
        ("RequestLimitExceeded: Request limit exceeded.\\n\\tstatus code: 503, request id: 6c", "RequestLimitExceeded"),
        ("timed out", "other"),
    ],
)
def test_error_texts_are_cut_to_their_code(text: str, code: str) -> None:
    """A whole error text with its request id keeps EC2's code alone, in the forms of both SDKs."""
    found = page(f'awscni_aws_utils_error_count{{error="{text}",fn="FreeENIDeleteErr"}} 2\n')
    assert found.samples[0].labels == {"fn": "FreeENIDeleteErr", "error": code}


def test_cut_texts_are_summed() -> None:
    """Two texts of one code become one sample with their sum."""
    lines = (f'awscni_aws_utils_error_count{{error="api error DependencyViolation: id {i}",fn="x"}} {i}\n' for i in (1, 2))
    found = page("".join(lines))
    assert [(s.labels["error"], s.value) for s in found.samples] == [("DependencyViolation", 3.0)]


def test_appended_pages_keep_the_newest_value() -> None:
    """A collector that appends two scrapes to one file does not double a counter."""
    assert page("awscni_add_ip_req_count 4\nawscni_add_ip_req_count 9\n").value("awscni_add_ip_req_count") == 9


def test_names_of_the_first_releases() -> None:
    """Releases 1.0 to 1.3 print no prefix, 1.4 a misspelt latency: both are read under the names of today."""
    found = page('eni_allocated 2\nawscni_aws_api_lantency_ms_count{api="x"} 5\nother_eni_allocated 9\n')
    assert (found.value("awscni_eni_allocated"), found.value("awscni_aws_api_latency_ms_count")) == (2, 5)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"awscni_eni_max 3", "ends within a line"),
        (b"awscni_eni_max three\n", "line 1"),
        (b"awscni_eni_max 3\n<html>\n", "line 2"),
        (b'awscni_x{a="1} 3\n', "line 1"),
        (b"awscni_x{a} 3\n", "labels"),
        (b"go_goroutines 3\n", "no awscni_"),
        (b"awscni_eni_max 3\n\xff 1\n", "UTF-8"),
    ],
)
def test_one_bad_line_spoils_the_page(data: bytes, word: str) -> None:
    """An absent series means "never happened": a page of which anything cannot be read is malformed."""
    found = refusal("metrics", {metrics.FILE: capture(metrics.FILE, data, status=200)})
    assert found.why is Why.MALFORMED
    assert word in found.detail


def test_disabled() -> None:
    """A refused port with DISABLE_METRICS=true is disabled."""
    seen = {metrics.FILE: capture(metrics.FILE, failure=Why.REFUSED), **seen_of({"ipamd/env.json": b'{"DISABLE_METRICS":"true"}'})}
    assert refusal("metrics", seen).why is Why.DISABLED


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_the_library_reads_the_same(name: str) -> None:
    """On real pages the parser agrees with the Prometheus client's, sample by sample, but for the `_total` that it puts on counters."""
    from prometheus_client.parser import text_string_to_metric_families

    data = recorded(name)[metrics.FILE].body()
    printed = set(re.findall(r"^[a-z_]+", data.decode(), re.MULTILINE))
    theirs = {
        (s.name if s.name in printed else s.name.removesuffix("_total"), tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(data.decode())
        for s in family.samples
        if s.name.startswith(("awscni_", "process_")) and s.value == s.value
    }
    ours = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in metrics.decode(data).samples}
    assert ours == theirs


@pytest.mark.parametrize(("name", "total"), [("v1.15.5-healthy-busy", 27), ("v1.23.0-healthy-prefix", 48), ("v1.23.0-healthy-busy", 27)])
def test_recorded_pages(name: str, total: Optional[int]) -> None:
    """Real pages: the gauge that a person reads in them."""
    assert value("metrics", recorded(name)).value("awscni_total_ip_addresses") == total
