"""
Who is here and listens to what, and the fan-out to them.

Channels go by their full names here, which no two tenants share.
The hub knows nothing of time, sockets or rights. A publication is encoded once, framed once per wire format, and then
handed over in one loop that calls one method per listener.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Protocol

from .codec import encode_publication
from .codes import DisconnectCode
from .publication import Publication
from .session import Session

__all__ = ["MIN_SPREAD", "REFRESH_RATE", "Connection", "Frame", "Hub", "Interest", "Wire"]

logger = logging.getLogger(__name__)

REFRESH_RATE = 50
"""How many clients of one channel should fetch their page again per second, when all of them have a reason to."""

MIN_SPREAD = 300
"""Milliseconds; a publication says nothing of a spread below it, since clients wait that long anyway."""

Frame = Any
"""One message as a transport writes it, shared by all connections of the same wire format."""

Wire = Callable[[bytes], Frame]
"""Makes a frame of one line of JSON. Connections with the same wire format share the same callable."""


class Connection(Protocol):
    """What a door offers: a way to one client. Neither method blocks or raises, whatever the client does."""

    @property
    def wire(self) -> Wire:
        """The wire format of this connection."""

    def send(self, frame: Frame) -> None:
        """Queue a frame. After :meth:`close` it is dropped."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close with this code. Only the first call counts."""


class Interest(Protocol):
    """Who wants to know which channels have listeners here: a broker's feed."""

    def listen(self, channels: Iterable[str]) -> None:
        """These channels have their first listener."""

    def forget(self, channels: Iterable[str]) -> None:
        """These channels have lost their last listener."""


class _Reserved:
    """Stands in for a connection, and keeps what it is to get once the client knows that it is subscribed."""

    __slots__ = ("_connection", "frames")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.frames: list[Frame] = []

    @property
    def wire(self) -> Wire:
        return self._connection.wire

    def send(self, frame: Frame) -> None:
        # Without a limit: frames are shared by all that wait, and who waits is refused after a few seconds.
        self.frames.append(frame)

    def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)


_Listeners = dict[Wire, dict[Session, Connection]]


class Hub:
    """The sessions of this process and their subscriptions, indexed both ways."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._connections: dict[Session, Connection] = {}
        self._channels_of: dict[Session, set[str]] = {}
        self._listeners_of: dict[str, _Listeners] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._connections))

    def __contains__(self, session: Session) -> bool:
        return session in self._connections

    def connection(self, session: Session) -> Connection:
        """Return the way to a session that has joined."""
        return self._connections[session]

    def join(self, session: Session, connection: Connection) -> None:
        """Take a session in."""
        self._connections[session] = connection

    def leave(self, session: Session) -> None:
        """Let a session and all that it listens to go."""
        if self._connections.pop(session, None) is None:
            return
        abandoned = [
            channel for channel in self._channels_of.pop(session, ()) if self._remove_listener(session, channel)
        ]
        if abandoned:
            self._interest.forget(abandoned)

    def reserve(self, session: Session, channel: str) -> None:
        """Keep what is published to a channel for a session, until it is subscribed or unsubscribed."""
        self._add_listener(session, channel, _Reserved(self._connections[session]))

    def subscribe(self, session: Session, channel: str) -> None:
        """Let a session listen to a channel; what was kept for it comes first."""
        connection = self._connections[session]
        if isinstance(before := self._add_listener(session, channel, connection), _Reserved):
            for frame in before.frames:
                connection.send(frame)

    def unsubscribe(self, session: Session, channel: str) -> None:
        """Let a session no longer listen to a channel."""
        channels = self._channels_of.get(session, set())
        if channel not in channels:
            return
        channels.remove(channel)
        if not channels:
            del self._channels_of[session]
        if self._remove_listener(session, channel):
            self._interest.forget([channel])

    def listeners(self, channel: str) -> int:
        """Count the sessions that listen to a channel."""
        return sum(map(len, self._listeners_of.get(channel, {}).values()))

    def channels(self) -> frozenset[str]:
        """Return the channels that have listeners."""
        return frozenset(self._listeners_of)

    def spread(self, channel: str) -> int:
        """Return over how many milliseconds the listeners of a channel should spread what they all do."""
        return self.listeners(channel) * 1000 // REFRESH_RATE

    def gap_spread(self) -> int:
        """
        Return over how many milliseconds those who missed something should spread what they do about it.

        A gap is seldom one channel's: what was cut off was this server, or the clients from it. So all of them count,
        each of whom may be the only listener of a channel of its own.
        """
        return len(self._connections) * 1000 // REFRESH_RATE

    def publish(self, publication: Publication) -> int:
        """
        Hand a publication to everyone who listens to its channel, except the clients that it excludes; return to how
        many that is.

        Raises:
            UnicodeError, msgspec.DecodeError: If its data is nothing that a browser could read.
        """
        channel = publication.full_name
        by_wire = self._listeners_of.get(channel)
        if by_wire is None:
            return 0
        spread = self.gap_spread() if publication.stale == "gap" else self.spread(channel)
        if not publication.stale and spread < MIN_SPREAD:
            message = encode_publication(publication, spread=None)
        else:
            message = encode_publication(publication, spread=spread)
        exclude = frozenset(publication.exclude)
        recipients = 0
        # Snapshots: a connection that overflows leaves the hub in the middle of this.
        for wire, listeners in tuple(by_wire.items()):
            frame = wire(message)
            connections = _recipients(listeners, exclude)
            recipients += len(connections)
            for connection in connections:
                try:
                    connection.send(frame)
                except Exception:
                    logger.exception("A connection failed to take a publication.")
                    connection.close(DisconnectCode.INTERNAL, DisconnectCode.INTERNAL.message)
        return recipients

    def _add_listener(self, session: Session, channel: str, connection: Connection) -> Connection | None:
        """Return the one whose place it takes."""
        self._channels_of.setdefault(session, set()).add(channel)
        is_first = channel not in self._listeners_of
        listeners = self._listeners_of.setdefault(channel, {}).setdefault(connection.wire, {})
        before = listeners.get(session)
        listeners[session] = connection
        if is_first:
            self._interest.listen([channel])
        return before

    def _remove_listener(self, session: Session, channel: str) -> bool:
        by_wire = self._listeners_of[channel]
        for wire, listeners in by_wire.items():
            if session in listeners:
                del listeners[session]
                if not listeners:
                    del by_wire[wire]
                break
        if not by_wire:
            del self._listeners_of[channel]
            return True
        return False


def _recipients(listeners: dict[Session, Connection], exclude: Collection[str]) -> list[Connection]:
    if not exclude:
        return list(listeners.values())
    return [connection for session, connection in listeners.items() if session.client not in exclude]
