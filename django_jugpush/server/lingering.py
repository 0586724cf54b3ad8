"""uvicorn's WebSocket protocol, with two changes to how a connection ends."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["LINGER_TIMEOUT", "LingeringProtocol"]

LINGER_TIMEOUT = 5.0
"""Seconds in which what a client goes on sending is thrown away, and in which it may take what is left for it."""


class LingeringProtocol(WebSocketsSansIOProtocol):
    """
    Closes after the client has, where it would close at once; and does not wait for ever for one that reads nothing.

    A socket that is closed while data arrives is reset, and then the client loses the close frame with its code: of a
    frame of 10 MB, one in seven got 1006 instead of 1009.

    The methods are not part of uvicorn's documented interface; without them, all that is lost is these two changes.
    """

    _abort_timer: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            # A transport that is told to close writes what it has first, and stays until the client has taken it.
            wait = self.close_timeout if self.close_timer else 0
            self._abort_timer = self.loop.call_later(wait + LINGER_TIMEOUT, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort_timer:
            self._abort_timer.cancel()
        super().connection_lost(exc)

    def handle_parser_exception(self) -> None:
        if self.close_sent:
            return
        assert self.conn.close_sent is not None
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_sent = True
        self.close_timer = self.loop.call_later(LINGER_TIMEOUT, self.transport.close)
