"""Keyed permutations and tokens: what all pseudonyms are made of.

Refuses collisions: what stands for identities of a fixed form is a permutation of that form, so two never share a pseudonym.
"""

from __future__ import annotations

import hashlib

ROUNDS = 6
"""Feistel rounds; four are enough for a pseudorandom permutation (Luby and Rackoff), unbalanced halves get two more."""
KEY_BYTES = 32
"""The length of a key."""


class Secret:
    """A key, stretched to one sub-key for each use. Keyed with BLAKE2b; the key itself is never shown."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a redaction key has at least 16 bytes")
        self._key = hashlib.blake2b(key, digest_size=64, person=b"eniagent redact").digest()

    def digest(self, use: str, data: bytes, *, size_bytes: int = 16) -> bytes:
        """The keyed digest of `data` for one use."""
        return hashlib.blake2b(data, digest_size=size_bytes, key=self._key, person=use.encode()[:16]).digest()

    def bit(self, use: str, data: bytes) -> int:
        """One keyed bit."""
        return self.digest(use, data, size_bytes=1)[0] & 1

    def word(self, use: str, text: str, *, digits: int) -> str:
        """A token of hex digits that stands for `text`."""
        return self.digest(use, text.encode("utf-8", "surrogateescape"), size_bytes=(digits + 1) // 2).hex()[:digits]

    def permuted(self, use: str, value: int, *, bits: int) -> int:
        """A permutation of the numbers of `bits` bits: an alternating Feistel network over two halves that may differ by one bit."""
        low_bits = bits // 2
        high, low = value >> low_bits, value & ((1 << low_bits) - 1)
        for number in range(ROUNDS):
            if number % 2:
                high ^= self._round(use, number, low, bits=bits, wide=bits - low_bits)
            else:
                low ^= self._round(use, number, high, bits=bits, wide=low_bits)
        return high << low_bits | low

    def _round(self, use: str, number: int, half: int, *, bits: int, wide: int) -> int:
        size = (wide + 7) // 8
        data = bytes((number,)) + bits.to_bytes(2, "big") + half.to_bytes(size + 1, "big")
        return int.from_bytes(self.digest(use, data, size_bytes=max(size, 1)), "big") & ((1 << wide) - 1)

    def permuted_hex(self, use: str, text: str) -> str:
        """Hex digits to as many hex digits; whatever stands between them (`-`, `_`) and their case stay as they are."""
        digits = [c for c in text if c not in "-_"]
        value = self.permuted(use, int("".join(digits), 16), bits=4 * len(digits))
        fresh = iter(f"{value:0{len(digits)}x}")
        upper = any("A" <= c <= "F" for c in digits)
        told = "".join(c if c in "-_" else next(fresh) for c in text)
        return told.upper() if upper else told
