"""ipamd's introspection and metrics ports, serving recorded bytes.

Like the real one it answers 200 with the list of commands to any path that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.server import FakeServer, Reply, Request

COMMANDS = b'{"AvailableCommands":["/v1/enis","/v1/eni-configs","/v1/ipamd-env-settings","/v1/networkutils-env-settings"]}'

ENIS = (
    b'{"0":{"TotalIPs":2,"AssignedIPs":1,"ENIs":{"eni-0f0f19c557067cbbe":{"ID":"eni-0f0f19c557067cbbe","IsPrimary":true,"IsTrunk":false,'
    b'"IsEFA":false,"DeviceNumber":0,"AvailableIPv4Cidrs":{},"IPv6Cidrs":{},"RouteTableID":254,"SubnetID":"subnet-0873a0000c6d07ef7"}}}}'
)


class FakeIpamd(FakeServer):
    """`bodies`: path -> body, e.g. of a captures directory; a path in `commands_only` answers with the list of commands."""

    def __init__(self, bodies: Mapping[str, bytes], *, unix_path: str = "", port: int = 0) -> None:
        self.bodies = dict(bodies)
        super().__init__(self._answer, unix_path=unix_path, port=port)

    def _answer(self, request: Request) -> Reply:
        return Reply(200, self.bodies.get(request.path, COMMANDS), {"Content-Type": "text/plain; charset=utf-8"})


def bodies_of(captures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The bodies to serve, by path, from the files of a captures directory (`ipamd/enis.json` -> `/v1/enis`)."""
    found = {f"/v1/{file[6:-5]}": body for file, body in captures.items() if file.startswith("ipamd/") and file.endswith(".json")}
    if "ipamd/metrics.txt" in captures:
        found["/metrics"] = captures["ipamd/metrics.txt"]
    return found
