"""The metrics as Prometheus wants them: over HTTP on loopback, and as a file for node_exporter's textfile collector.

Refuses to be scraped from elsewhere, and to leave half a file behind.
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from eniagent import __version__
from eniagent.daemon.tally import WAIT_BUCKETS_S, Gauges

FILE = "eniagent.prom"
LOOK_S = 1.0
"""How long the server's thread may take to hear that it is to end."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Of the standard library; the one that prometheus_client starts asks DNS for the name of its own address first.

    A daemon that may reach loopback alone waits seconds for that answer, which never comes.
    """

    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that goes away in the middle is no event."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing: scrapes are no events."""


class Exposition(Collector):
    """Tells the newest gauges to whoever asks."""

    def __init__(self) -> None:
        self.gauges = Gauges()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._server: Any = None

    def listen(self, where: str) -> None:
        """Serve `/metrics` at HOST:PORT; `off` does not. Raises `OSError` where the port is taken."""
        if where != "off":
            host, _, port = where.rpartition(":")
            kind = _Server6 if host == "[::1]" else _Server
            self._server = kind((host.strip("[]"), int(port)), _Handler)
            self._server.set_app(make_wsgi_app(self._registry))
            threading.Thread(target=self._server.serve_forever, args=(LOOK_S,), name="metrics", daemon=True).start()

    @property
    def port(self) -> Optional[int]:
        """The port that is served."""
        return self._server.server_port if self._server is not None else None

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)

    def write(self, directory: str) -> None:
        """`eniagent.prom` in the collector's directory, whole or not at all. Raises `OSError`."""
        path = f"{directory}/{FILE}"
        beside = f"{path}.{os.getpid()}"  # the collector reads *.prom alone
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "wb") as file:
                file.write(self.text())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    def remove(self, directory: str) -> None:
        """Take the file away: what is no longer written must not be read as if it stood."""
        with contextlib.suppress(OSError):
            os.unlink(f"{directory}/{FILE}")

    def collect(self) -> Iterator[Metric]:
        """Every family of the contract."""
        now = self.gauges
        for make in _FAMILIES:
            yield make(now)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: dict[Any, Any]) -> Metric:
    family = GaugeMetricFamily(f"eniagent_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([*key] if isinstance(key, tuple) else [key], float(value))
    return family


def _single(name: str, text: str, value: Optional[float]) -> Metric:
    return GaugeMetricFamily(f"eniagent_{name}", text, value=value) if value is not None else GaugeMetricFamily(f"eniagent_{name}", text)


def _failures(now: Gauges) -> Metric:
    family = CounterMetricFamily("eniagent_allocation_failures", "Attempts to give a pod its network that failed, by the cause that stood.", labels=("cause",))
    for cause, number in sorted(now.failures.items()):
        family.add_metric([cause], number)
    return family


def _waits(now: Gauges) -> Metric:
    family = HistogramMetricFamily("eniagent_pod_wait_seconds", "Time from a pod's first failed attempt until it came up.")
    total, buckets = 0, []
    for limit, number in zip((*(f"{s:g}" for s in WAIT_BUCKETS_S), "+Inf"), now.wait_buckets):
        total += number
        buckets.append((limit, float(total)))
    family.add_metric([], buckets=buckets, sum_value=now.wait_sum_s)
    return family


def _build(_: Gauges) -> Metric:
    return _gauge("build_info", "The agent's version; always 1.", ("version",), {__version__: 1})


_FAMILIES: tuple[Callable[[Gauges], Metric], ...] = (
    lambda now: _gauge("addresses", "Addresses by state, recomputed; assignable is what a pod could get now.", ("state", "network_card"), now.addresses),
    lambda now: _gauge("enis", "ENIs attached, and how many the type takes.", ("state",), now.enis),
    lambda now: _gauge("ledger_disagreements", "ENIs and addresses of which two views tell different things.", ("kind",), now.disagreements),
    _failures,
    lambda now: _gauge("finding", "1 while the finding stands, else 0.", ("code", "severity"), now.findings),
    lambda now: _single("incident_open", "Incidents that are open.", now.incidents_open),
    _waits,
    lambda now: _single("time_to_exhaustion_seconds", "Until every address that the type allows is assigned, at the pace of the last half hour.", now.exhaustion_s),
    lambda now: _gauge("source_up", "1 where the source was seen in the last cycle, else 0.", ("source",), now.sources),
    lambda now: _single("cycle_seconds", "How long the last cycle took.", now.cycle_s),
    lambda now: _single("journal_lag_seconds", "How far the reading of the journals is behind them.", now.lag_s),
    _build,
)
