"""The WebSocket door for every ASGI server."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from django_jugpush.core.codes import DisconnectCode

from .connections import Connections
from .turns import Turns
from .types import Receive, Scope, Send

__all__ = ["CLOSE_TIMEOUT", "TextFrame", "WebSocketConnection", "WebSocketDoor", "make_frame"]

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5.0
"""Seconds that a client has to take what is queued for it, and the reason why it is sent away."""


@dataclass(frozen=True, slots=True)
class TextFrame:
    """One message, shared by all connections that get it."""

    text: str
    size: int
    """Bytes on the wire."""


def make_frame(message: bytes) -> TextFrame:
    """Make a frame of one line of JSON: the wire format of this door."""
    return TextFrame(message.decode(), len(message))


class WebSocketConnection:
    """
    The way out to one client: a queue that is bounded by bytes, and the coroutine that empties it.

    ``on_drain`` is called when it was busy, which a quarter of ``max_pending`` bytes makes it, and is so no more.
    ``on_overflow`` is called when more than ``max_pending`` bytes wait, unless they are a single frame: a client that
    comes back because of it would get that frame again. What waited is dropped before that, so that what is queued in
    the call comes first.
    """

    wire = staticmethod(make_frame)

    def __init__(
        self, *, max_pending: int, on_overflow: Callable[[], None], on_drain: Callable[[], None] = lambda: None
    ) -> None:
        self._max_pending = max_pending
        self._on_overflow = on_overflow
        self._on_drain = on_drain
        self._queue: deque[TextFrame] = deque()
        self._pending = 0
        self._wakeup = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._end_at: float | None = None
        self._timeout: asyncio.Timeout | None = None

    @property
    def is_busy(self) -> bool:
        """Whether so much is queued that what can wait should do so."""
        return self._pending > self._max_pending // 4

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closing is not None

    def send(self, frame: TextFrame) -> None:
        """Queue a frame."""
        if self._closing is not None:
            return
        self._queue.append(frame)
        self._pending += frame.size
        self._wakeup.set()
        if self._pending > self._max_pending and len(self._queue) > 1:
            self._queue.clear()
            self._pending = 0
            self._on_overflow()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close."""
        if self._closing is None:
            self._closing = (code, reason)
            self._wakeup.set()
            self._end_within(CLOSE_TIMEOUT)

    def lost(self) -> None:
        """Take note that the client is gone."""
        self._end_within(0)

    async def write(self, send: Send) -> None:
        """Send what is queued until the connection ends, by whichever side."""
        try:
            async with asyncio.timeout_at(self._end_at) as self._timeout:
                code, reason = await self._write_until_closing(send)
                await send({"type": "websocket.close", "code": int(code), "reason": reason})  # daphne takes no subclass
        except OSError:  # the client is gone, or has not taken it in time
            pass
        finally:
            self._timeout = None

    async def _write_until_closing(self, send: Send) -> tuple[int, str]:
        while True:
            while self._queue:
                frame = self._queue.popleft()
                await send({"type": "websocket.send", "text": frame.text})
                self._taken(frame)
            if self._closing is not None:
                return self._closing
            self._wakeup.clear()
            await self._wakeup.wait()

    def _taken(self, frame: TextFrame) -> None:
        was_busy = self.is_busy
        self._pending = max(0, self._pending - frame.size)  # it may have overflowed meanwhile
        if was_busy and not self.is_busy:
            self._on_drain()

    def _end_within(self, seconds: float) -> None:
        self._end_at = asyncio.get_running_loop().time() + seconds
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._end_at)


class WebSocketDoor:
    """
    An ASGI application for WebSockets.

    Args:
        connections: Is told of the clients.
        turns: Shares the event loop's time out among them.
        max_pending: Bytes that may wait for a client that reads slowly.
    """

    def __init__(self, connections: Connections, turns: Turns, *, max_pending: int) -> None:
        self._connections = connections
        self._turns = turns
        self._max_pending = max_pending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client from its handshake to its end."""
        await receive()  # websocket.connect
        connection = WebSocketConnection(
            max_pending=self._max_pending,
            on_overflow=lambda: self._connections.disconnect(connection, DisconnectCode.SLOW),
            on_drain=lambda: self._connections.advance(connection),
        )
        try:
            # Clients that are refused are accepted first: of a refused handshake a browser shows scripts nothing, and
            # they would try again for ever.
            await send({"type": "websocket.accept"})
        except OSError:
            return
        reader = asyncio.create_task(self._read(connection, scope, receive))
        try:
            await connection.write(send)
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            self._connections.connection_lost(connection)

    async def _read(self, connection: WebSocketConnection, scope: Scope, receive: Receive) -> None:
        """Hand on what the client sends, one message a turn of the loop, so that a burst holds nobody else up."""
        try:
            await self._connections.connect(connection, scope)
            while not connection.is_closing:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    connection.lost()
                    return
                if (text := message.get("text")) is None:
                    self._connections.disconnect(connection, DisconnectCode.NOT_TEXT)
                else:
                    await self._turns.done(functools.partial(self._connections.receive, connection, text))
                await asyncio.sleep(0)
        except Exception:
            logger.exception("A connection failed.")
            self._connections.disconnect(connection, DisconnectCode.INTERNAL)
            connection.close(DisconnectCode.INTERNAL, DisconnectCode.INTERNAL.message)
