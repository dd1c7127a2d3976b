"""Settings of the agent: flag > environment > configuration file > default, each value with its origin.

Refuses a configuration that it understands only in part: every problem is told at once, with its remedy, and nothing is
guessed. An unknown key is a problem, because a mistyped setting is a setting that does not work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

import msgspec

from eniagent.edge.errors import ConfigError, Problem

DEFAULT_CONFIG = "/etc/eniagent/config.toml"

IMDS_IPV4 = "http://169.254.169.254"
IMDS_IPV6 = "http://[fd00:ec2::254]"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Effective settings. `origins`: setting -> "flag", "environment NAME", "file PATH" or "default"."""

    ipamd_url: str = "http://127.0.0.1:61679"
    metrics_url: str = "http://127.0.0.1:61678"
    imds_url: str = IMDS_IPV4
    journal_dir: Optional[str] = None
    root: str = "/"
    since_s: float = 3600.0
    deadline_s: float = 20.0
    redact: str = "secrets"
    log_format: str = "console"
    bundle_dir: str = "/var/log/support"
    bundle_keep: int = 10
    bundle_quota: int = 1 << 30
    poll_s: float = 30.0
    imds_poll_s: float = 60.0
    metrics_listen: str = "127.0.0.1:61690"
    textfile: Optional[str] = None
    state_dir: str = "/var/lib/eniagent"
    run_dir: str = "/run/eniagent"
    history_age_s: float = 7 * 86400.0
    history_size: int = 50 << 20
    capture: str = "on"
    upload_to: Optional[str] = None
    upload_ca_file: Optional[str] = None
    upload_kms_key: Optional[str] = None
    origins: dict[str, str] = {}

    def origin(self, name: str) -> str:
        """Where the value of a setting was said."""
        return self.origins.get(name, "default")


def parse_url(text: Any) -> str:
    """`http://host:port`, `host:port`, or `unix:/path`, in one form without a trailing slash. Raises `ValueError`."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError("is no URL")
    text = text.strip()
    if text.startswith("unix:"):
        path = text[5:]
        path = path[2:] if path.startswith("//") else path
        if not path.startswith("/"):
            raise ValueError("names no absolute socket path")
        return f"unix:{path}"
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
        raise ValueError("is no plain http URL")
    if parts.port == 0:
        raise ValueError("has no usable port")
    return f"http://{parts.netloc}{parts.path}".rstrip("/")


def parse_duration_s(text: Any) -> float:
    """`90`, `90s`, `15m`, `1h`, `2d` or combinations such as `1h30m`, in seconds. Raises `ValueError`."""
    if isinstance(text, bool):
        raise ValueError("is no duration")
    if isinstance(text, (int, float)):
        seconds = float(text)
    else:
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", str(text).strip().lower())
        if not re.fullmatch(r"(?:\d+(?:\.\d+)?\s*[smhdw]?\s*)+", str(text).strip().lower()):
            raise ValueError("is no duration")
        scale = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        seconds = sum(float(number) * scale[unit] for number, unit in parts)
    if not 0 < seconds <= 366 * 86400:
        raise ValueError("is not between 0 and 366 days")
    return seconds


def parse_directory(text: Any) -> str:
    """An absolute path. Raises `ValueError`."""
    if not isinstance(text, str) or not text.startswith("/") or "\0" in text:
        raise ValueError("is no absolute path")
    return text.rstrip("/") or "/"


def parse_count(text: Any) -> int:
    """A whole number from 1 on. Raises `ValueError`."""
    if isinstance(text, bool) or not re.fullmatch(r"[1-9]\d{0,8}", str(text).strip()):
        raise ValueError("is no whole number from 1 on")
    return int(str(text))


def parse_size_bytes(text: Any) -> int:
    """`1048576`, `500M`, `2G`, `1Gi`: bytes, units in powers of 1024. Raises `ValueError`."""
    found = re.fullmatch(r"([1-9]\d{0,14})\s*(?:([kmgt])i?b?)?", str(text).strip().lower())
    if isinstance(text, bool) or found is None:
        raise ValueError("is no size")
    return int(found[1]) << {None: 0, "k": 10, "m": 20, "g": 30, "t": 40}[found[2]]


def parse_listen(text: Any) -> str:
    """`127.0.0.1:61690`, `[::1]:61690`, or `off`. Raises `ValueError`, also for an address that others can reach."""
    if text == "off":
        return "off"
    host, colon, port = str(text).rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError("is no HOST:PORT")
    if host not in ("127.0.0.1", "[::1]", "localhost"):
        raise ValueError("is not on loopback")
    return str(text)


def parse_target(text: Any) -> str:
    """Where bundles are uploaded to: `s3://bucket/prefix` or `https://...`. Raises `ValueError`."""
    if not isinstance(text, str) or not re.fullmatch(r"(?:s3|https)://[^\s/]+(?:/\S*)?", text):
        raise ValueError("is no s3:// or https:// address")
    return text


def parse_key(text: Any) -> str:
    """A KMS key: its id, ARN or alias. Raises `ValueError`."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9:/_.-]{1,2048}", text):
        raise ValueError("is no KMS key")
    return text


def _at_least(seconds: float, parse: Callable[[Any], float]) -> Callable[[Any], float]:
    def bounded(text: Any) -> float:
        value = parse(text)
        if value < seconds:
            raise ValueError(f"is less than {seconds:g} s")
        return value

    return bounded


def _one_of(*words: str) -> Callable[[Any], str]:
    def parse(text: Any) -> str:
        if text not in words:
            raise ValueError("is none of " + ", ".join(words))
        return str(text)

    return parse


class Kind(msgspec.Struct, frozen=True):
    """How one setting is read: its parser, what to say when it is wrong, and foreign variables that also name it."""

    parse: Callable[[Any], Any]
    remedy: str
    also: tuple[str, ...] = ()


_URL = "give http://HOST:PORT, HOST:PORT or unix:/PATH"
_DURATION = "give seconds or a duration such as 90s, 15m or 1h"
_PATH = "give an absolute path"

KINDS: dict[str, Kind] = {
    "ipamd_url": Kind(parse_url, _URL, ("INTROSPECTION_BIND_ADDRESS",)),
    "metrics_url": Kind(parse_url, _URL),
    "imds_url": Kind(parse_url, "give http://HOST or http://[ADDRESS]", ("AWS_EC2_METADATA_SERVICE_ENDPOINT",)),
    "journal_dir": Kind(parse_directory, _PATH),
    "root": Kind(parse_directory, _PATH),
    "since_s": Kind(parse_duration_s, _DURATION),
    "deadline_s": Kind(parse_duration_s, _DURATION),
    "redact": Kind(_one_of("secrets", "identifiers", "none"), "give secrets, identifiers or none"),
    "log_format": Kind(_one_of("console", "json"), "give console or json"),
    "bundle_dir": Kind(parse_directory, _PATH),
    "bundle_keep": Kind(parse_count, "give how many bundles to keep, from 1 on"),
    "bundle_quota": Kind(parse_size_bytes, "give a size such as 500M or 2G"),
    "poll_s": Kind(_at_least(1.0, parse_duration_s), "give how often ipamd is asked, such as 30s; each time is a line in its log"),
    "imds_poll_s": Kind(_at_least(1.0, parse_duration_s), "give how often IMDS is asked, such as 60s"),
    "metrics_listen": Kind(parse_listen, "give 127.0.0.1:PORT, [::1]:PORT or off"),
    "textfile": Kind(parse_directory, "give the directory that node_exporter's textfile collector reads"),
    "state_dir": Kind(parse_directory, _PATH),
    "run_dir": Kind(parse_directory, _PATH),
    "history_age_s": Kind(_at_least(60.0, parse_duration_s), "give how long to keep the history, such as 7d"),
    "history_size": Kind(parse_size_bytes, "give how large the history may grow, such as 50M"),
    "capture": Kind(_one_of("on", "off"), "give on or off: whether an incident is captured in a bundle"),
    "upload_to": Kind(parse_target, "give s3://BUCKET/PREFIX or https://HOST/..."),
    "upload_ca_file": Kind(parse_directory, "give the absolute path of a file of PEM certificates"),
    "upload_kms_key": Kind(parse_key, "give a KMS key's id, ARN or alias, or aws for the key that AWS manages"),
}
"""Every setting. The name is the key in the file; upper-cased after `ENIAGENT_` it is the variable."""


def load(flags: Mapping[str, Any], environ: Mapping[str, str], config_path: Optional[str] = None) -> Settings:
    """The effective settings. `flags`: setting -> value as given, None where it was not given.

    Raises `ConfigError` with every problem. A missing default file is no problem, a missing named one is.
    """
    problems: list[Problem] = []
    said: dict[str, tuple[Any, str]] = {}
    named = config_path or environ.get("ENIAGENT_CONFIG") or None
    for name, value in _read_file(named or DEFAULT_CONFIG, must_exist=named is not None, problems=problems).items():
        if name in KINDS:
            said[name] = (value, f"file {named or DEFAULT_CONFIG}")
        else:
            remedy = f"remove it or use one of {', '.join(sorted(KINDS))}"
            problems.append(Problem(name, f"file {named or DEFAULT_CONFIG}", "is no setting", remedy))
    said.update(_from_environment(environ))
    for name, value in flags.items():
        if value is not None:
            if name not in KINDS:
                raise TypeError(f"{name} is no setting")
            said[name] = (value, "flag")
    return _build(said, problems=problems)


def _build(said: Mapping[str, tuple[Any, str]], *, problems: list[Problem]) -> Settings:
    """Parse what was said; raises `ConfigError` where anything was wrong."""
    values: dict[str, Any] = {}
    for name, (value, origin) in said.items():
        try:
            values[name] = KINDS[name].parse(value)
        except ValueError as error:
            # Of an address that is wrong the query is still a secret.
            shown = repr(value) if name != "upload_to" else repr(re.split(r"[?#]", str(value), maxsplit=1)[0])
            problems.append(Problem(name, origin, f"{shown} {error}", KINDS[name].remedy))
    if problems:
        raise ConfigError(tuple(problems))
    return Settings(origins={name: origin for name, (_, origin) in said.items()}, **values)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Settings that the environment names; our own variables go before those of the SDKs and of ipamd. Empty: not set.

    Other variables that begin with our prefix are left alone: Kubernetes sets `ENIAGENT_SERVICE_HOST` and its kin by itself.
    """
    said: dict[str, tuple[Any, str]] = {}
    if environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6":
        said["imds_url"] = (IMDS_IPV6, "environment AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
    for name, kind in KINDS.items():
        for variable in (*kind.also, f"ENIAGENT_{name.upper()}"):
            if environ.get(variable):
                said[name] = (environ[variable], f"environment {variable}")
    return said


def _read_file(path: str, *, must_exist: bool, problems: list[Problem]) -> dict[str, Any]:
    """The top-level table of a TOML file; empty where it is absent or wrong (then told in `problems`)."""
    origin = f"file {path}"
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
    except FileNotFoundError:
        if must_exist:
            problems.append(Problem("--config", origin, "does not exist", "create it or name another file"))
        return {}
    except OSError as error:
        problems.append(Problem("--config", origin, f"cannot be read: {error.strerror}", "check its mode and owner"))
        return {}
    return _parse_toml(data, origin=origin, problems=problems)


def _parse_toml(data: bytes, *, origin: str, problems: list[Problem]) -> dict[str, Any]:
    import sys

    # Python has a TOML reader from 3.11 on; before that the same reader comes as a package of its own.
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        import tomli as toml
    try:
        return dict(toml.loads(data.decode("utf-8")))
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem("--config", origin, f"is no TOML: {error}", "correct the line it names"))
        return {}
