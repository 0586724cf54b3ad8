"""
The push server: its parts put together, behind an ASGI application.

It knows nothing of Django. Who may listen, which origins may connect and how publications come in are callables that
it is given.

What a client says and what it is told go this way::

    door → connections → driver ⇄ session (pure)         feed → fan-out → hub → connection
                         driver → subscribing → rights, opening
                         driver → hub, shares, notices
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Feed
from django_jugpush.core.history import PAGE_BYTES
from django_jugpush.core.hub import Hub
from django_jugpush.core.session import Session

from .asgi import Routes, serve_lifespan
from .config import ServerConfig
from .connections import Connections
from .counts import Counts
from .driver import Driver
from .fanout import FanOut
from .guard import Guard
from .handshake import Handshake
from .heartbeats import Heartbeats
from .life import Life
from .notices import Notices, Taker
from .opening import Opening
from .rights.authority import Authority
from .rights.base import Rights
from .rights.project import ProjectRights
from .shares import Shares
from .subscribing import Subscribing
from .turns import Turns
from .types import ASGIApplication, Authorize, Claim, OriginAllowed, Receive, Scope, Send
from .websocket import WebSocketDoor

__all__ = ["PushServer"]


class PushServer:
    """
    One process's connections, and the ASGI 3 application in front of them.

    It starts with its first connection, or by :meth:`start`, and belongs to the event loop on which that happens.
    Before the HTTP server stops, :meth:`drain` sends the clients away in good order; then comes :meth:`stop`.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        authorize: Authorize,
        origin_allowed: OriginAllowed,
        feed: Feed,
        authority: Authority | None = None,
        publish_endpoint: ASGIApplication | None = None,
        claim: Claim | None = None,
        takers: Sequence[Taker] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.feed = feed
        self.publish_endpoint = publish_endpoint
        self.hub = Hub(feed, refresh_rate=config.refresh_rate)
        self.counts = Counts()
        self.guard = Guard(
            max_connections=config.max_connections, max_per_address=config.max_connections_per_address, clock=clock
        )
        self.turns = Turns()
        # What cannot be posted is posted again, so it comes as soon as this server can be reached.
        hears_from = time.time() if publish_endpoint else None
        self.rights = (
            ProjectRights(authority, feed, self.hub, self.counts, self._drive, hears_from=hears_from)
            if authority
            else Rights()
        )
        self._notices = Notices(takers)
        self._opening = Opening(
            feed,
            self.hub,
            at_once=max(1, config.max_pending // (2 * PAGE_BYTES)),
            max_channels=config.max_channels,
        )
        self._subscribing = Subscribing(
            self.hub,
            self._opening,
            self.rights,
            authorize=authorize,
            drive=self._drive,
            clock=clock,
        )
        shares = Shares(config.max_connections_per_user)
        self._driver = Driver(self.hub, self._subscribing, self.rights, shares, self._notices, self.counts)
        self._fan_out = FanOut(feed, self.rights, self.hub, counts=self.counts, clock=clock)
        self._heartbeats = Heartbeats(
            self.hub, self.rights, drive=self._drive, ping_interval=config.ping_interval, clock=clock
        )
        self.life = Life((self._notices, self._fan_out, self.rights, self._heartbeats), feed=feed, claim=claim)
        handshake = Handshake(config, self.counts, origin_allowed=origin_allowed, clock=clock)
        self.connections = Connections(self.life, handshake, self.hub, self._driver, clock=clock)
        websocket = WebSocketDoor(self.connections, self.turns, max_pending=config.max_pending)
        self._routes = Routes(config.path, self.life, websocket=websocket, publish_endpoint=publish_endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await serve_lifespan(receive, send, start=self.start, stop=self.stop)
        else:
            await self._routes(scope, receive, send)

    @property
    def is_connected(self) -> bool:
        """Whether publications are heard."""
        return self.life.is_connected

    @property
    def obstacle(self) -> str:
        """Why clients should not be sent here; empty if they may come."""
        return self.life.obstacle

    async def start(self) -> None:
        """Begin to hear publications, unless that has happened, or another process has the claim to do so."""
        await self.life.start()

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - says what happens, not only that it is late
        """Tell all clients to come back later, and wait until their connections are closed, or ``timeout`` is over."""
        self.life.is_draining = True
        await self.connections.drain(timeout)

    async def stop(self) -> None:
        """Stop hearing publications. Clients that are still here are sent away first."""
        await self.drain()
        await self.life.stop()

    def _drive(self, session: Session) -> None:
        # Some whom the driver calls must call it back, and are made before it.
        self._driver.drive(session)
