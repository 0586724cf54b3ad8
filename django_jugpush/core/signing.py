"""
How a Django process and a push server know each other when no broker stands between them.

Both hold keys derived from ``SECRET_KEY``. A publish request carries a :class:`Signature`; before it is sent, the
server proves with :func:`make_proof` that it holds a key too, so that nobody who has taken its address hears a word.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "HELLO_PATH",
    "MAX_BODY_BYTES",
    "PUBLISH_PATH",
    "SIGNATURE_HEADER",
    "WINDOW",
    "Signature",
    "is_nonce",
    "is_proof",
    "make_proof",
    "sign_request",
]

PUBLISH_PATH = "publish"
"""Where publications are posted to, relative to the mount point: a proxy may strip what stands before it."""

HELLO_PATH = "hello"
"""Where a server proves itself, relative to the mount point."""

SIGNATURE_HEADER = "Jugpush-Signature"

WINDOW = 60.0
"""Seconds by which the clocks of the two sides may differ."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The longest body that a publish request may have."""

_SIGNATURE = re.compile(r"v=1, t=([0-9]{1,16}), mac=([0-9a-f]{64})")
_NONCE = re.compile(r"[0-9A-Za-z_-]{22,64}")


@dataclass(frozen=True, slots=True)
class Signature:
    """What :data:`SIGNATURE_HEADER` says about a request."""

    time_ms: int
    """When it was signed: milliseconds since 1970."""

    mac: bytes

    @classmethod
    def parse(cls, text: str) -> Signature | None:
        """Read a header's value; None if it is none that ``str()`` of a signature makes."""
        if match := _SIGNATURE.fullmatch(text):
            return cls(int(match[1]), bytes.fromhex(match[2]))
        return None

    def __str__(self) -> str:
        return f"v=1, t={self.time_ms}, mac={self.mac.hex()}"

    def is_timely(self, *, now: float) -> bool:
        """Tell whether the request was signed within :data:`WINDOW` of ``now``."""
        return abs(now - self.time_ms / 1000) <= WINDOW

    def matches(self, keys: Sequence[bytes], *, method: str, path: str, body: bytes) -> bool:
        """Tell whether one of ``keys`` has signed exactly this request."""
        return any(hmac.compare_digest(self.mac, _mac(key, method, path, self.time_ms, body)) for key in keys)


def sign_request(key: bytes, *, method: str, path: str, body: bytes, now: float) -> Signature:
    """Sign a request; ``path`` is relative to the mount point, as :data:`PUBLISH_PATH` is."""
    time_ms = int(now * 1000)
    return Signature(time_ms, _mac(key, method, path, time_ms, body))


def is_nonce(text: str) -> bool:
    """Tell whether ``text`` can be a challenge: 22 to 64 URL-safe characters."""
    return _NONCE.fullmatch(text) is not None


def make_proof(key: bytes, *, nonce: str, address: str) -> str:
    """
    Return what only a holder of ``key`` can answer to ``nonce``.

    ``address`` is the server's own, ``host:port``, so that a stranger cannot pass the question on to it and the
    answer back; it is empty where a proxy or a container's network lies between the two.
    """
    return hmac.digest(key, f"jugpush-hello\n1\n{nonce}\n{address}".encode(), "sha256").hex()


def is_proof(keys: Sequence[bytes], answer: str, *, nonce: str, address: str) -> bool:
    """Tell whether one of the lines of ``answer`` is the proof by one of ``keys``."""
    proofs = [make_proof(key, nonce=nonce, address=address) for key in keys]
    lines = [line.encode() for line in answer.splitlines()[:16]]
    return any(hmac.compare_digest(line, proof.encode()) for line in lines for proof in proofs)


def _mac(key: bytes, method: str, path: str, time_ms: int, body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest()
    return hmac.digest(key, f"jugpush-request\n1\n{method}\n{path}\n{time_ms}\n{digest}".encode(), "sha256")
