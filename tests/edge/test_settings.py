"""Settings: precedence, origins, and every problem at once."""

from __future__ import annotations

import pathlib

import pytest

from eniagent.edge.errors import ConfigError
from eniagent.edge.settings import KINDS, Settings, load, parse_duration_s, parse_url


def test_every_setting_has_its_kind_and_no_more() -> None:
    """A setting that cannot be set, or a key without effect, cannot exist."""
    assert set(KINDS) == set(Settings.__struct_fields__) - {"origins"}


def test_flag_over_environment_over_file_over_default(tmp_path: pathlib.Path) -> None:
    """Each level wins over the next, and the origin says which one did."""
    path = tmp_path / "config.toml"
    path.write_text('ipamd_url = "http://127.0.0.1:1"\nmetrics_url = "http://127.0.0.1:2"\nimds_url = "http://127.0.0.1:3"\n')
    environ = {"ENIAGENT_IPAMD_URL": "127.0.0.1:11", "ENIAGENT_METRICS_URL": "127.0.0.1:12"}
    settings = load({"ipamd_url": "127.0.0.1:21", "root": None}, environ, str(path))
    assert (settings.ipamd_url, settings.origin("ipamd_url")) == ("http://127.0.0.1:21", "flag")
    assert (settings.metrics_url, settings.origin("metrics_url")) == ("http://127.0.0.1:12", "environment ENIAGENT_METRICS_URL")
    assert (settings.imds_url, settings.origin("imds_url")) == ("http://127.0.0.1:3", f"file {path}")
    assert (settings.root, settings.origin("root")) == ("/", "default")


def test_nothing_said_is_all_defaults() -> None:
    """An empty environment, as SSM gives it, is a whole configuration."""
    assert load({}, {}, None) == Settings()


def test_foreign_variables_are_honoured_after_ours() -> None:
    """The SDKs' endpoint and ipamd's bind address serve, unless our own variable says otherwise."""
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1338/", "INTROSPECTION_BIND_ADDRESS": "unix:/run/introspect.sock"}
    settings = load({}, environ)
    assert (settings.imds_url, settings.ipamd_url) == ("http://127.0.0.1:1338", "unix:/run/introspect.sock")
    settings = load({}, {**environ, "ENIAGENT_IMDS_URL": "http://127.0.0.1:9", "ENIAGENT_IPAMD_URL": "127.0.0.1:8"})
    assert (settings.imds_url, settings.ipamd_url) == ("http://127.0.0.1:9", "http://127.0.0.1:8")
    assert load({}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}).imds_url == "http://[fd00:ec2::254]"


def test_variables_that_kubernetes_sets_are_no_problem() -> None:
    """A Service of our name puts variables with our prefix into every pod."""
    assert load({}, {"ENIAGENT_SERVICE_HOST": "10.100.0.1", "ENIAGENT_PORT": "tcp://10.100.0.1:80"}) == Settings()


def test_all_problems_are_told_at_once(tmp_path: pathlib.Path) -> None:
    """One error names every wrong value and unknown key, where each was said, and a remedy for each."""
    path = tmp_path / "config.toml"
    path.write_text('root = "relative"\nsinse_s = 5\nredact = "some"\n')
    with pytest.raises(ConfigError) as error:
        load({"ipamd_url": "ftp://x"}, {"ENIAGENT_DEADLINE_S": "soon"}, str(path))
    problems = {problem.setting: problem for problem in error.value.problems}
    assert set(problems) == {"root", "sinse_s", "redact", "ipamd_url", "deadline_s"}
    assert problems["deadline_s"].origin == "environment ENIAGENT_DEADLINE_S"
    assert str(path) in problems["root"].origin
    assert all(problem.remedy for problem in problems.values())
    assert error.value.exit_code == 2


@pytest.mark.parametrize("content", [b"ipamd_url = ", b"\xff\xfe", b"[ipamd\n"])
def test_a_file_that_is_no_toml_is_one_problem(tmp_path: pathlib.Path, content: bytes) -> None:
    """A broken file is named."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load({}, {}, str(path))


def test_a_named_file_must_exist(tmp_path: pathlib.Path) -> None:
    """The default file may be absent, a named one may not, also when the environment names it."""
    missing = str(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load({}, {}, missing)
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load({}, {"ENIAGENT_CONFIG": missing})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:61679", "http://127.0.0.1:61679"),
        ("http://127.0.0.1:61679/", "http://127.0.0.1:61679"),
        ("unix:/var/run/x.sock", "unix:/var/run/x.sock"),
        ("unix:///var/run/x.sock", "unix:/var/run/x.sock"),
        ("http://[fd00:ec2::254]", "http://[fd00:ec2::254]"),
        ("[::1]:61679", "http://[::1]:61679"),
    ],
)
def test_urls_have_one_form(text: str, url: str) -> None:
    """All ways to write an address mean one URL."""
    assert parse_url(text) == url


@pytest.mark.parametrize("text", ["", "https://127.0.0.1", "unix:relative", "http://", "http://u:p@h", "127.0.0.1:99999", 7, "http://[::1"])
def test_what_is_no_url_is_refused(text: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):
        parse_url(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("1h30m", 5400), ("2d", 172800), (20, 20), (0.5, 0.5)])
def test_durations_are_seconds(text: object, seconds: float) -> None:
    """All ways to write a duration."""
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "1y", "h", "soon", True, None, "1e9", "400d"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):
        parse_duration_s(text)
