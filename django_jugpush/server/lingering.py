"""uvicorn's WebSocket protocol, with one change: a client that broke the rules gets to read why."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["LINGER_TIMEOUT", "LingeringProtocol"]

LINGER_TIMEOUT = 5.0
"""Seconds in which what a client goes on sending is thrown away."""


class LingeringProtocol(WebSocketsSansIOProtocol):
    """
    Closes after the client has, where it would close at once.

    A socket that is closed while data arrives is reset, and then the client loses the close frame with its code: of a
    frame of 10 MB, one in seven got 1006 instead of 1009.

    The method is not part of uvicorn's documented interface; without it, all that is lost is the lingering.
    """

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
