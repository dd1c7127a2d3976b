"""Notices that links, addresses, rules or routes have changed, so that ip(8) need not be run to find that they have not.

Refuses to say what changed: that is for the look that follows. A notice that got lost counts as a change.
Source: rtnetlink(7); linux/rtnetlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Optional

_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | (1 << (19 - 1))
"""RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, and RTNLGRP_IPV6_RULE."""
_BUFFER_BYTES = 1 << 20


class KernelWatch:
    """A netlink socket that hears of changes. Where it cannot be had, every question is answered with yes."""

    def __init__(self) -> None:
        self._socket: Optional[socket.socket] = None
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
            # A storm of changes needs no memory: that it was too much is told as an error, which is a change.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.bind((0, _GROUPS))
        except OSError:
            self.close()

    def changed(self) -> bool:
        """Whether anything changed since the last question."""
        if self._socket is None:
            return True
        found = False
        while True:
            try:
                found = bool(self._socket.recv(1 << 12)) or found
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self.close()
                    return True
                found = True

    def close(self) -> None:
        """Hear no more."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
