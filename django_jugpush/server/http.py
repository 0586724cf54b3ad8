"""
uvicorn's HTTP protocol, with the limits that it does not have.

Of itself it takes heads of any length, waits for them for ever, and counts no WebSockets. The methods and attributes of
uvicorn that are used here are not its public interface; ``tests/server/test_http.py`` shows whether they still fit.
With another protocol in its place, the push server works and these limits do not hold.
"""

from __future__ import annotations

import asyncio
import functools
import http
import socket
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .frames import BoundedProtocol
from .guard import Drop, Guard
from .proxies import UNIX, Proxies, is_foreign
from .turns import Turns

if TYPE_CHECKING:
    from .app import PushServer

__all__ = ["BoundedHttpProtocol", "uvicorn_options"]

MAX_HEAD_BYTES = 16 * 1024
"""The longest request line and headers, together."""

MAX_HEADERS = 100
"""How many headers a request may have."""

MAX_BODY_BYTES = 64 * 1024
"""The longest body; that of a publication is the publish endpoint's business, which looks at the signature first."""

REQUEST_TIMEOUT = 10.0
"""Seconds from the beginning of a connection, or from the request before, to a whole request; and to its answer."""

LINGER_TIMEOUT = 1.0
"""Seconds in which what a refused client goes on sending is thrown away, so that it can read why."""

RETRY_AFTER = 10
"""Seconds after which who found no room may try again; browsers' clients go by pauses of their own."""

_SLICE = 4096


def uvicorn_options(push: PushServer, proxies: Proxies | None = None) -> dict[str, Any]:
    """Return what uvicorn must be told, as arguments of ``uvicorn.Config``, so that the limits of ``push`` hold."""
    return {
        "http": functools.partial(
            BoundedHttpProtocol, guard=push.guard, proxies=proxies or Proxies(()), turns=push.turns
        ),
        "ws": functools.partial(BoundedProtocol, turns=push.turns),
        "ws_max_size": push.config.max_message_size,
        "ws_per_message_deflate": False,  # it costs memory, and a small frame may inflate to a large one
        "ws_ping_interval": None,  # heartbeats are messages, so that scripts see them
        "access_log": False,
    }


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses requests that are too long, too slow or too many, by an answer that says so."""

    def __init__(self, *args: Any, guard: Guard, proxies: Proxies, turns: Turns, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_log = False
        self._guard = guard
        self._proxies = proxies
        self._turns = turns
        self._ticket = guard.open()
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_head = True
        self._has_begun = False
        """Whether a request is on its way."""
        self._is_over = False
        """Whether all that still comes is thrown away."""
        self._drop: Drop | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _send_at_once(transport)
        self._arm()
        # Who comes from afar and is no proxy is one client, and counts before it has said a word.
        drop = None
        if is_foreign(self._peer) and not self._proxies.trusts(self._peer):
            drop = self._guard.claim(self._ticket, self._peer)
        if self._guard.is_crowded:
            drop = Drop.FULL
        if drop:
            self._refuse(drop)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._ticket.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        start = 0
        while start < len(data) and not self._is_over:
            end = start + (min(_SLICE, MAX_HEAD_BYTES - self._head_bytes) if self._is_in_head else len(data))
            piece, start = data[start:end], end
            self._head_bytes += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                self._upgrade(piece[upgrade.args[0] :] + data[start:])
                return
            except httptools.HttpParserError:  # those of the callbacks below too
                self._refuse(self._drop or Drop.MALFORMED)
                return
            if self._is_in_head and self._head_bytes >= MAX_HEAD_BYTES:
                self._refuse(Drop.HEAD)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self.pipeline:  # one that waits for the answer to another is enough
            self._stop(Drop.MALFORMED)
        self._has_begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            self._stop(Drop.HEAD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        headers = dict(self.headers)
        # Nobody has a reason to send a body in chunks, and what stands between and after them has no length.
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or (int(length) > MAX_BODY_BYTES and not self._is_publishing()):
            self._stop(Drop.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_head = True
        self._has_begun = False
        self._head_bytes = 0
        self._arm()

    # Helpers

    @property
    def _peer(self) -> str:
        return (self.client[0] if self.client else "") or UNIX

    def _is_publishing(self) -> bool:
        return self.parser.get_method() == b"POST" and self.url.partition(b"?")[0].endswith(b"/publish")

    def _upgrade(self, rest: bytes) -> None:
        """Leave the connection to the WebSocket protocol, with what has come after the request already."""
        if not self._should_upgrade():  # it is answered like any request, and what follows is no HTTP
            self._is_over = True
            if self.cycle is not None:
                self.cycle.keep_alive = False
            return
        self._is_over = True
        self.flow.pause_reading()
        # After a restart everybody comes at once, and this takes a while for each.
        self._turns.do(functools.partial(self._become_websocket, rest))

    def _become_websocket(self, rest: bytes) -> None:
        if self.transport.is_closing():
            return
        if drop := self._guard.admit(self._ticket, self._proxies.countable(self._peer, self.headers)):
            self._refuse(drop)
            return
        self._disarm()
        self.flow.resume_reading()
        make: Any = self.ws_protocol_class
        self.ws_protocol_class = functools.partial(make, ticket=self._ticket)  # type: ignore[assignment]
        self.handle_websocket_upgrade()
        if rest:
            follower = self.transport.get_protocol()
            assert isinstance(follower, asyncio.Protocol)
            follower.data_received(rest)

    def _stop(self, drop: Drop) -> None:
        """Stop the parser, from within one of its callbacks."""
        self._drop = drop
        raise ValueError(drop.message)

    def _refuse(self, drop: Drop) -> None:
        """Say why, unless an answer is on its way; then throw away what comes, and close."""
        self._ticket.drop(drop, self._proxies.countable(self._peer, self.headers or ()) or self._peer)
        self._is_over = True
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_answering:
            self.transport.write(_answer(drop))
        if is_answering or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
        self.flow.resume_reading()
        self._arm(LINGER_TIMEOUT)

    def _arm(self, seconds: float = 0) -> None:
        self._disarm()
        # A crowd that came together would also leave together.
        self._timer = self.loop.call_later(seconds or REQUEST_TIMEOUT, self._turns.do, self._run_out)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run_out(self) -> None:
        """Let a client go that took too long."""
        if self._timer is None:
            return
        self._timer = None
        if not self._is_over and self._has_begun:
            self._refuse(Drop.TIMEOUT)
            return
        if not self._is_over:
            self._ticket.drop(Drop.TIMEOUT, self._peer)
        self.transport.abort()


def _send_at_once(transport: asyncio.Transport) -> None:
    """Let no message wait until the client has acknowledged the one before, which takes it 40 ms."""
    # asyncio does so itself, but only for a socket that was made with the number of its protocol.
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _answer(drop: Drop) -> bytes:
    body = drop.message
    again = f"retry-after: {RETRY_AFTER}\r\n" if drop in (Drop.ADDRESS, Drop.FULL) else ""
    return (
        f"HTTP/1.1 {drop.status} {http.HTTPStatus(drop.status).phrase}\r\n"
        "content-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n"
        "cache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\n"
        f"{again}connection: close\r\n\r\n{body}"
    ).encode()
