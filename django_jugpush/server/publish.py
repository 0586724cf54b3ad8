"""
The push server's door for Django processes, where no other broker stands between: ``POST publish`` and ``GET hello``.

Only a holder of the project's key gets anything but the answer to an unknown path. What browsers and proxies add to
a request keeps it out as well: behind a proxy every peer looks like the loopback.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal, Protocol
from urllib.parse import parse_qs

import msgspec

from django_jugpush.core.publication import Publication
from django_jugpush.core.signing import (
    HELLO_PATH,
    MAX_BODY_BYTES,
    PUBLISH_PATH,
    SIGNATURE_HEADER,
    WINDOW,
    Signature,
    is_nonce,
    make_proof,
)

from .types import Receive, Scope, Send

__all__ = ["PublishEndpoint"]

logger = logging.getLogger(__name__)

_SIGNATURE_HEADER = SIGNATURE_HEADER.lower().encode()
_FOREIGN_HEADERS = frozenset({b"origin", b"sec-fetch-site", b"forwarded"})
_FOREIGN_PREFIX = b"x-forwarded-"


class Receiver(Protocol):
    """A feed that takes what is posted here."""

    def receive(self, publications: Sequence[Publication], *, again: bool = False) -> None:
        """
        Deliver ``publications``; called on the push server's event loop.

        With ``again`` they may have come before: what is known already is left out.
        """


class _Body(msgspec.Struct):
    v: Literal[1]
    publications: list[Publication]
    again: bool = False


class _Refused(Exception):
    """The request does not come from this project. Its text is for the log."""


class PublishEndpoint:
    """
    An ASGI application for the two paths.

    A request is taken from the loopback, from a Unix socket and from ``allowed_networks``.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        feed: Receiver,
        *,
        allowed_networks: Sequence[IPv4Network | IPv6Network] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._feed = feed
        self._allowed_networks = allowed_networks
        self._clock = clock
        self._guard = _ReplayGuard(clock)
        self._decoder = msgspec.json.Decoder(_Body)
        self._last_logged = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, name = scope["method"], scope["path"].rpartition("/")[2]
        try:
            self._check_peer(scope)
            if method == "POST" and name == PUBLISH_PATH:
                status, text = await self._publish(scope, receive)
            elif method == "GET" and name == HELLO_PATH:
                status, text = 200, self._hello(scope)
            else:
                status, text = 404, ""
        except _Refused as refused:
            self._log(refused)
            status, text = 404, ""
        await _answer(send, status, text)

    def _check_peer(self, scope: Scope) -> None:
        for name, _ in scope["headers"]:
            if name in _FOREIGN_HEADERS or name.startswith(_FOREIGN_PREFIX):
                header = name[:100].decode("latin-1")
                raise _Refused(f"it has the header {header!r}, so it came from a browser or a proxy")
        client = scope.get("client")
        if client is None:  # a Unix socket, guarded by its file's mode
            return
        try:
            address = ip_address(client[0])
        except ValueError:
            return  # uvicorn gives a Unix socket's peer an empty host
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not address.is_loopback and not any(address in network for network in self._allowed_networks):
            raise _Refused(f"it comes from {address}, which is not in PUBLISH_FROM")

    async def _publish(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or len(length) > 12 or int(length) > MAX_BODY_BYTES:
            raise _Refused("it has no length, or one above the limit")
        signature = Signature.parse(headers.get(_SIGNATURE_HEADER, b"").decode("latin-1"))
        if signature is None:
            raise _Refused("it is not signed")
        if not self._guard.is_timely(signature):
            raise _Refused("it was signed before this server started, or the clocks differ by more than a minute")
        body = await _read(receive, int(length))
        if not signature.matches(self._keys, method="POST", path=PUBLISH_PATH, body=body):
            raise _Refused("its signature was made with another SECRET_KEY or NAMESPACE, or for something else")
        if self._guard.is_first(signature):
            try:
                request = self._decode(body)
            except (ValueError, RecursionError) as error:
                return 400, str(error)[:200]
            self._feed.receive(request.publications, again=request.again)
        return 204, ""

    def _decode(self, body: bytes) -> _Body:
        str(body, "utf-8")  # msgspec does not look into Raw, and a browser drops the connection over a bad byte
        return self._decoder.decode(body)

    def _hello(self, scope: Scope) -> str:
        try:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=8)
        except ValueError as error:
            raise _Refused("its query has too many fields") from error
        nonce, address = query.get("nonce", [""])[0], query.get("address", [""])[0]
        if not is_nonce(nonce):
            raise _Refused("its nonce is missing or malformed")
        server = scope.get("server")
        if address and (server is None or address != f"{server[0]}:{server[1]}"):
            raise _Refused("it was meant for another address")
        return "\n".join(make_proof(key, nonce=nonce, address=address) for key in self._keys)

    def _log(self, refused: _Refused) -> None:
        now = self._clock()
        if now - self._last_logged >= 1:
            self._last_logged = now
            logger.warning("A request to the publish endpoint was refused: %s.", refused)


class _ReplayGuard:
    """Lets each signed request through once, for as long as its time would let it pass."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_ms = int(clock() * 1000)
        self._seen: set[bytes] = set()
        self._ages: deque[tuple[float, bytes]] = deque()

    def is_timely(self, signature: Signature) -> bool:
        # What an earlier server of this address has taken is not in this one's memory.
        return signature.time_ms >= self._started_ms and signature.is_timely(now=self._clock())

    def is_first(self, signature: Signature) -> bool:
        now = self._clock()
        while self._ages and self._ages[0][0] < now - 2 * WINDOW:
            self._seen.discard(self._ages.popleft()[1])
        if signature.mac in self._seen:
            return False
        self._seen.add(signature.mac)
        self._ages.append((now, signature.mac))
        return True


async def _read(receive: Receive, length: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused("it ended too early")
        body += message.get("body", b"")
        if len(body) > length:
            raise _Refused("it is longer than it says")
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 204:  # RFC 9110, 8.6
        del headers[:2]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
