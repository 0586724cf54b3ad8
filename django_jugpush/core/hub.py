"""
Who is here and listens to what, and the fan-out to them.

Channels go by their full names here, which no two tenants share.
The hub knows nothing of time, sockets or rights. A publication is encoded once, framed once per wire format, and then
handed over in one loop that calls one method per listener.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from .codec import encode_publication
from .codes import DisconnectCode
from .places import Places
from .positions import Position
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

    @property
    def is_busy(self) -> bool:
        """Whether so much is queued that what can wait should do so."""

    def send(self, frame: Frame) -> None:
        """Queue a frame. After :meth:`close` it is dropped."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close with this code. Only the first call counts."""


class Interest(Protocol):
    """Who wants to know which channels have listeners here: a broker's feed."""

    @property
    def servers(self) -> int:
        """How many push servers there are, with this one."""

    def listen(self, channels: Iterable[str]) -> None:
        """These channels have their first listener."""

    def forget(self, channels: Iterable[str]) -> None:
        """These channels have lost their last listener."""


_Kept = list[tuple[Publication, bytes]]
"""What was published, and as it is sent. Without a limit: who waits is refused before long."""


@dataclass(slots=True)
class _Channel:
    """Who listens to a channel."""

    listeners: dict[Wire, dict[Session, Connection]] = field(default_factory=dict)

    waiting: dict[Session, _Kept] = field(default_factory=dict)
    """Who will listen, and what each is to get once it knows that it is subscribed."""

    has: dict[Session, Position] = field(default_factory=dict)
    """Up to where listeners had everything before they began, as long as what is heard live has not come so far."""

    def __len__(self) -> int:
        return sum(map(len, self.listeners.values())) + len(self.waiting)


class Hub:
    """
    The sessions of this process and their subscriptions, indexed both ways.

    Args:
        interest: Is told which channels have listeners.
        refresh_rate: How many clients of all servers should do the same in a second.
    """

    def __init__(self, interest: Interest, *, refresh_rate: int = REFRESH_RATE) -> None:
        self._interest = interest
        self._refresh_rate = refresh_rate
        self._connections: dict[Session, Connection] = {}
        self._channels_of: dict[Session, set[str]] = {}
        self._channels: dict[str, _Channel] = {}
        self._places = Places()

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
        self._places.take(session)

    def place(self, session: Session) -> float:
        """Return the place of a session among all, from 0 to 1."""
        return self._places[session]

    def leave(self, session: Session) -> None:
        """Let a session and all that it listens to go."""
        if self._connections.pop(session, None) is None:
            return
        self._places.give_back(session)
        abandoned = [channel for channel in self._channels_of.pop(session, ()) if self._remove(session, channel)]
        if abandoned:
            self._interest.forget(abandoned)

    def reserve(self, session: Session, channel: str) -> None:
        """Keep what is published to a channel for a session, until it is subscribed or unsubscribed."""
        self._open(session, channel).waiting[session] = []

    def subscribe(self, session: Session, channel: str, *, has: Position | None = None) -> None:
        """
        Let a session listen to a channel; what was kept for it comes first.

        ``has`` is where it stands: what is heard only later, but is before that, is not for it.
        """
        connection = self._connections[session]
        record = self._open(session, channel)
        kept = record.waiting.pop(session, ())
        record.listeners.setdefault(connection.wire, {})[session] = connection
        if has:
            record.has[session] = has
        for publication, message in kept:  # last, for a connection that overflows leaves the hub in the middle of it
            if not (has and publication.position and publication.position.precedes(has)):
                connection.send(connection.wire(message))

    def unsubscribe(self, session: Session, channel: str) -> None:
        """Let a session no longer listen to a channel."""
        channels = self._channels_of.get(session, set())
        if channel not in channels:
            return
        channels.remove(channel)
        if not channels:
            del self._channels_of[session]
        if self._remove(session, channel):
            self._interest.forget([channel])

    def listeners(self, channel: str) -> int:
        """Count the sessions that listen to a channel, or are about to."""
        return len(self._channels.get(channel, ()))

    def sessions(self, channel: str) -> list[Session]:
        """Return the sessions that listen to a channel."""
        record = self._channels.get(channel)
        return [session for listeners in record.listeners.values() for session in listeners] if record else []

    def channels(self) -> frozenset[str]:
        """Return the channels that have listeners."""
        return frozenset(self._channels)

    def has_room_for(self, channel: str, limit: int) -> bool:
        """Tell whether a channel is, or may become, one of at most ``limit`` that have listeners."""
        return channel in self._channels or len(self._channels) < limit

    def spread(self, channel: str) -> int:
        """Return over how many milliseconds the listeners of a channel should spread what they all do."""
        return self.spread_of(self.listeners(channel))

    def spread_of(self, clients: int) -> int:
        """Return over how many milliseconds so many clients of this server should spread what they all do."""
        # Each server has its share of the rate.
        return clients * 1000 * self._interest.servers // self._refresh_rate

    def gap_spread(self) -> int:
        """
        Return over how many milliseconds those who missed something should spread what they do about it.

        A gap is seldom one channel's: what was cut off was this server, or the clients from it. So all of them count,
        each of whom may be the only listener of a channel of its own.
        """
        return self.spread_of(len(self._connections))

    def publish(self, publication: Publication) -> int:
        """
        Hand a publication to everyone who listens to its channel, except the clients that it excludes; return to how
        many that is.
        """
        record = self._channels.get(publication.full_name)
        if record is None or (message := self.encode(publication)) is None:
            return 0
        exclude = frozenset(publication.exclude)
        for session, kept in record.waiting.items():
            if session.client not in exclude:
                _keep(kept, publication, message)
        has_it = _who_has(record, publication.position) if record.has else ()
        recipients = 0
        # Snapshots: a connection that overflows leaves the hub in the middle of this.
        for wire, listeners in tuple(record.listeners.items()):
            frame = wire(message)
            connections = _recipients(listeners, exclude, has_it)
            recipients += len(connections)
            for connection in connections:
                try:
                    connection.send(frame)
                except Exception:
                    logger.exception("A connection failed to take a publication.")
                    connection.close(DisconnectCode.INTERNAL, DisconnectCode.INTERNAL.message)
        return recipients

    def encode(self, publication: Publication) -> bytes | None:
        """Return what listeners get, as one line of JSON; None if its data is nothing that a browser could read."""
        spread = self.gap_spread() if publication.stale == "gap" else self.spread(publication.full_name)
        is_worth_saying = publication.stale or spread >= MIN_SPREAD
        try:
            return encode_publication(publication, spread=spread if is_worth_saying else None)
        except (UnicodeError, msgspec.MsgspecError) as error:
            logger.error("A publication to %r was dropped, for its data is broken: %s", publication.channel, error)
            return None

    def _open(self, session: Session, channel: str) -> _Channel:
        """Return the record of a channel that a session is interested in."""
        self._channels_of.setdefault(session, set()).add(channel)
        record = self._channels.get(channel)
        if record is None:
            record = self._channels[channel] = _Channel()
            self._interest.listen([channel])
        return record

    def _remove(self, session: Session, channel: str) -> bool:
        """Take a session out of a channel; return whether nobody is left."""
        record = self._channels[channel]
        record.waiting.pop(session, None)
        record.has.pop(session, None)
        for wire, listeners in record.listeners.items():
            if listeners.pop(session, None) is not None:
                if not listeners:
                    del record.listeners[wire]
                break
        if not len(record):
            del self._channels[channel]
            return True
        return False


def _keep(kept: _Kept, publication: Publication, message: bytes) -> None:
    """Add to what waits for a client, which gets all of it at once; so of what has a pace it gets the newest."""
    if publication.is_paced and kept and kept[-1][0].is_paced:
        kept.pop()
    kept.append((publication, message))


def _who_has(record: _Channel, position: Position | None) -> Container[Session]:
    """Return the listeners that have what stands at ``position``; forget of the others what they had."""
    if position is None:
        return ()
    has_it = {session for session, has in record.has.items() if position.precedes(has)}
    record.has = {session: has for session, has in record.has.items() if session in has_it}
    return has_it


def _recipients(
    listeners: dict[Session, Connection], exclude: frozenset[str], has_it: Container[Session]
) -> list[Connection]:
    if not (exclude or has_it):
        return list(listeners.values())
    return [
        connection
        for session, connection in listeners.items()
        if session.client not in exclude and session not in has_it
    ]
