"""
uvicorn's WebSocket protocol, with bounds to what one client's frames can ask of the event loop.

The parser takes all that it is given in one go: of frames without content, a quarter of a megabyte comes in one read,
and would hold everybody else up for a tenth of a second. The methods that are used here are not part of uvicorn's
documented interface; ``tests/server/test_frames.py`` shows whether they still fit.
"""

from __future__ import annotations

from typing import Any, Literal

from uvicorn.protocols.utils import ClientDisconnected
from websockets.frames import Frame

from django_jugpush.core.allowance import Allowance

from . import lingering
from .guard import Drop, Ticket
from .turns import Turns

__all__ = ["MAX_FRAGMENTS", "BoundedProtocol"]

MAX_FRAGMENTS = 16
"""Frames of one message."""

FRAME_RATE = 50.0
"""Pings, pongs and frames that continue a message: how many a client may send a second in the long run."""

FRAME_BURST = 200
"""How many at once."""

SLICE = 4096
"""Bytes that the parser is given at a time; at 6 bytes a frame it finds 682 in them."""

Hold = Literal["handshake", "writing"]


class BoundedProtocol(lingering.LingeringProtocol):
    """
    Reads only what it can handle.

    Reading is held up until the handshake is done, and while the client does not take what it is sent, answers to its
    pings among it; by uvicorn, while the application has messages to take. What has been read is parsed in small
    slices, each when it is this connection's turn.
    """

    def __init__(self, *args: Any, turns: Turns, ticket: Ticket | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.close_timeout = lingering.LINGER_TIMEOUT  # uvicorn gives a client that is sent away twice as long
        self._ticket = ticket
        self._backlog = bytearray()
        self._turns = turns
        self._holds: set[Hold] = set()
        self._is_scheduled = False
        self._is_held_up = False
        """Whether reading may be paused, other than by uvicorn."""
        self._frame_allowance = Allowance(rate=FRAME_RATE, burst=FRAME_BURST)

    # What the transport tells

    def connection_lost(self, exc: Exception | None) -> None:
        self._backlog.clear()
        if self._ticket:
            self._ticket.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated and not self._holds:
            self._shake_hands(data)
            return
        self._backlog += data
        if not (self._holds or self.read_paused):
            self._schedule()
        if self._backlog:
            self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._hold("writing")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._release("writing")

    # What the application does

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.close_sent:  # as an answer to what came; uvicorn would take this for a mistake of the application
            raise ClientDisconnected
        await super().send(message)
        if self.handshake_complete:
            self._release("handshake")
        if message["type"] == "websocket.close":
            self._settle()

    async def receive(self) -> Any:
        message = await super().receive()
        if self._holds or self._backlog:
            self._settle()
        return message

    # What the parser tells

    def handle_text(self, event: Frame) -> None:
        if not self.close_sent or self._may_go_on():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if not self.close_sent or self._may_go_on():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(Drop.FRAGMENTS)
        elif self._may_go_on():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._may_go_on():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._may_go_on():
            super().handle_pong(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self.frames = []
            self._end(1007, "")  # uvicorn would write a traceback for each
            return
        super().send_receive_event_to_app()

    # Helpers

    def _shake_hands(self, request: bytes) -> None:
        super().data_received(request)
        if self.handshake_initiated:
            self._hold("handshake")
        else:  # a request that is good for httptools, but not for websockets: uvicorn would leave it unanswered
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

    def _parse(self) -> None:
        """Give the parser a slice of what has come, unless there is a reason to wait."""
        self._is_scheduled = False
        if self._holds or self.read_paused:
            return
        piece = bytes(self._backlog[:SLICE])
        del self._backlog[:SLICE]
        try:
            super().data_received(piece)
        except Exception:
            self.transport.abort()
            raise
        if self._is_held_up or self._backlog:
            self._settle()

    def _hold(self, hold: Hold) -> None:
        self._holds.add(hold)
        self._settle()

    def _release(self, hold: Hold) -> None:
        if hold in self._holds:
            self._holds.remove(hold)
            self._settle()

    def _settle(self) -> None:
        """Read if nothing speaks against it; what has been read comes first."""
        if self.transport.is_closing():
            self._backlog.clear()
            return
        self._is_held_up = bool(self._holds or self.read_paused or self._backlog)
        if not self._is_held_up:
            self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self._backlog and not (self._holds or self.read_paused):
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._turns.do(self._parse)

    def _may_go_on(self) -> bool:
        if not self._frame_allowance.take(self.loop.time()):
            self._fail(Drop.FRAMES)
        return not self.close_sent

    def _fail(self, drop: Drop) -> None:
        if not self.close_sent and self._ticket:
            self._ticket.drop(drop, self.client[0] if self.client else None)
        self._end(drop.status, drop.message)

    def _end(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)  # looks at nothing that still comes; says why, unless that has been said
        self.handle_parser_exception()


_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def _is_utf8(fragments: list[bytes]) -> bool:
    try:
        b"".join(fragments).decode()
    except UnicodeDecodeError:
        return False
    return True
