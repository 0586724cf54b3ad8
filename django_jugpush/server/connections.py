"""The clients that are here: what every door tells of them, and how all of them are sent away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.hub import Connection, Hub
from django_jugpush.core.session import Session

from .driver import Driver
from .handshake import Handshake
from .life import Life
from .types import Scope

__all__ = ["RETURN_RATE", "Connections"]

RETURN_RATE = 1000
"""How many of the clients that a stopping server sends away should come back per second."""

GOODBYES_PER_TURN = 500
"""How many clients are sent away in one turn of the event loop."""


class Connections:
    """
    Connections and their sessions, whatever the transport.

    A door makes a :class:`~django_jugpush.core.hub.Connection` for each of its clients and calls, in this order,
    :meth:`connect` once, :meth:`receive` for each message, and :meth:`connection_lost` once, whoever ended it; between
    these, :meth:`advance` and :meth:`disconnect`. Answers and publications come back through the connection.
    """

    def __init__(
        self, life: Life, handshake: Handshake, hub: Hub, driver: Driver, *, clock: Callable[[], float]
    ) -> None:
        self._life = life
        self._handshake = handshake
        self._hub = hub
        self._driver = driver
        self._clock = clock
        self._sessions: dict[Connection, Session] = {}
        self._all_closed = asyncio.Event()

    def __len__(self) -> int:
        """Count the connections that are open, those included that are being closed."""
        return len(self._sessions)

    async def connect(self, connection: Connection, scope: Scope) -> None:
        """Begin a session for a client whose request is ``scope``; the first one starts the server."""
        if not self._life.is_draining:
            await self._life.start()
        session, protocol = self._handshake.make_session(scope)
        self._sessions[connection] = session
        self._hub.join(session, connection)
        place, refusal = self._hub.place(session), self._life.refusal
        self._handshake.greet(session, scope, protocol=protocol, place=place, refusal=refusal)
        self._driver.drive(session)

    def receive(self, connection: Connection, data: bytes | str) -> None:
        """Take what a client sent."""
        self._driver.receive(self._sessions[connection], data, now=self._clock())

    def advance(self, connection: Connection) -> None:
        """Go on with what waited until a client had taken most of what was queued for it."""
        if session := self._sessions.get(connection):
            self._driver.advance(session)

    def disconnect(self, connection: Connection, code: DisconnectCode, *, spread: int | None = None) -> None:
        """Send a client away; it comes back within ``spread`` milliseconds."""
        if session := self._sessions.get(connection):
            session.disconnect(code, spread=spread)
            self._driver.drive(session)

    def connection_lost(self, connection: Connection) -> None:
        """Take note that a connection is no more, whoever closed it."""
        if session := self._sessions.pop(connection, None):
            session.connection_lost()
            self._driver.drive(session)
        if not self._sessions:
            self._all_closed.set()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - says what happens, not only that it is late
        """Tell all clients to come back later, and wait until their connections are closed, or ``timeout`` is over."""
        spread = len(self._sessions) * 1000 // RETURN_RATE
        for number, connection in enumerate(tuple(self._sessions), start=1):
            self.disconnect(connection, DisconnectCode.SHUTDOWN, spread=spread)
            if number % GOODBYES_PER_TURN == 0:
                await asyncio.sleep(0)
        if self._sessions:
            self._all_closed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_closed.wait(), timeout)
