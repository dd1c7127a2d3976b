"""A reading as pieces: JSON cut where its content says so, each piece known by its hash and kept once, compressed.

Refuses to believe a piece whose content does not give its hash: a damaged reading is told as malformed, never as empty.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import NamedTuple

PLAIN, DEFLATED = 0, 1
"""Forms of a stored body. A form that was released stays readable."""

_SEAM = re.compile(rb"\},\{")
_SHARE = 7
"""One seam in eight is a cut: a list in which one element changed costs one short piece."""
_MOST_BYTES = 16 << 10
_SMALL_BYTES = 2048


class Piece(NamedTuple):
    """One piece: what it is known by, and its bytes."""

    hash: bytes
    body: bytes


def cut(field: str, data: bytes) -> list[Piece]:
    """The pieces of one document. Equal elements give equal cuts, wherever in the list they stand."""
    if len(data) <= _SMALL_BYTES:
        return [_piece(field, data)]
    pieces, begin, seen = [], 0, 0
    for seam in _SEAM.finditer(data):
        end = seam.start() + 1
        if zlib.crc32(data[seen:end]) & _SHARE == 0 or end - begin > _MOST_BYTES:
            pieces.append(_piece(field, data[begin:end]))
            begin = end
        seen = end
    pieces.append(_piece(field, data[begin:]))
    return pieces


def _piece(field: str, body: bytes) -> Piece:
    # The field is hashed in: a piece then belongs to one field, and is forgotten with it.
    return Piece(hashlib.blake2b(body, digest_size=16, person=field.encode()[:16]).digest(), body)


def pack(body: bytes) -> tuple[int, bytes]:
    """Form and bytes as stored."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    packed = packer.compress(body) + packer.flush()
    return (DEFLATED, packed) if len(packed) < len(body) else (PLAIN, body)


def unpack(field: str, digest: bytes, *, form: int, body: bytes) -> bytes:
    """The inverse of `pack`. Raises `ValueError` where the bytes are not those that were stored."""
    if form == DEFLATED:
        opener = zlib.decompressobj(-15, DICTIONARY)
        try:
            body = opener.decompress(body) + opener.flush()
        except zlib.error as error:
            raise ValueError(f"a stored piece is damaged: {error}") from error
    elif form != PLAIN:
        raise ValueError(f"a stored piece has the unknown form {form}")
    if _piece(field, body).hash != digest:
        raise ValueError("a stored piece is damaged: its content does not match its hash")
    return body


DICTIONARY = (
    b'{"links":[{"name":"eni0123456789a","index":12,"mac":"0a:58:a9:fe:01:01","up":true,"mtu":9001,"kind":"veth","addresses":["10.0."'
    b'"pods":[{"pod":"default/","failures":1,"first_at":"2026-","last_at":"2026-","signatures":{"pool-exhausted":1},"newest":{"signature":"'
    b'failed to assign an IP address to container","ref":"s=;i=;b=;m=;t=;x=","program":"kubelet"},"recovered_at":null,"gone_at":null}'
    b'{"type":"observed","value":{"program":"containerd","starts":[{"pod":"kube-system/","at":"2026-","created_at":"2026-","e2e_s":1.,"slo_s":1.'
    b'"events":[{"signature":"","at":"2026-","fields":{"error":""},"text":"","ref":"logs/ipamd.log:","program":"ipamd"}],"counts":{"'
    b'{"ip":"10.0.","assigned":true,"pod":"default/","sandbox":"0123456789abcdef","assigned_at":"2026-","unassigned_at":null}],"'
    b'{"network":"10.0./32","is_prefix":false,"addresses":[{"sandbox":"","interface":"eth0","ip":"10.0.","ipv6":null,"pod":"","card":0}'
    b'{"name":"awscni_ipamd_action_inprogress","labels":{"fn":"nodeIPPoolReconcile","api":"","error":"false","status":"","le":"","quantile":"0.99"},"value":'
    b'{"name":"process_cpu_seconds_total","labels":{},"value":0.0},{"name":"awscni_aws_api_latency_ms","labels":{"api":"'
    b'"since":"2026-","until":"2026-","form":"zap","lines":1,"garbled":0},"source":"","at":null}'
)
"""What pieces have in common, for the compressor. It is part of form 1: changing it would make stored pieces unreadable."""
