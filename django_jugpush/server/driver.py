"""What follows from what a session was told: its replies leave, and its events go to who sees to them."""

from __future__ import annotations

from django_jugpush.core.codec import encode
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.commands import Error
from django_jugpush.core.events import (
    Event,
    EventReceived,
    SessionEnded,
    SubscribeRequested,
    SubscribeWithdrawn,
    SubscriptionEnded,
    SubscriptionStarted,
)
from django_jugpush.core.hub import Connection, Hub
from django_jugpush.core.session import Session

from .counts import Counts
from .notices import Notices
from .rights.base import Rights
from .shares import Shares
from .subscribing import Subscribing

__all__ = ["Driver"]


class Driver:
    """
    Drives sessions. Whoever tells a session something calls :meth:`drive` with it afterwards.

    Args:
        hub: Knows the connection of each session, and who listens.
        subscribing: Answers who wants to listen.
        rights: Looks after what subscriptions rest on.
        shares: Says how many connections a user may have.
        notices: Tells the project.
        counts: Takes notes for operators.
    """

    def __init__(
        self, hub: Hub, subscribing: Subscribing, rights: Rights, shares: Shares, notices: Notices, counts: Counts
    ) -> None:
        self._hub = hub
        self._subscribing = subscribing
        self._rights = rights
        self._shares = shares
        self._notices = notices
        self._counts = counts

    def receive(self, session: Session, data: bytes | str, *, now: float) -> None:
        """Tell a session what its client sent, and do what follows."""
        self._counts.commands[session.receive_data(data, now=now)] += 1
        self.drive(session)

    def advance(self, session: Session) -> None:
        """Do what was not done while much waited for a session's client."""
        self._subscribing.advance(session)

    def drive(self, session: Session) -> None:
        """Do what follows for a session, until nothing follows any more."""
        if session not in self._hub:
            return
        connection = self._hub.connection(session)
        while True:
            # First, so that a client knows of its subscription when the publications come that were kept for it.
            self._send(session, connection)
            if not (events := session.events_received()):
                break
            for event in events:
                self._handle(session, event)
        if session.code is not None:
            connection.close(session.code, session.code.message)

    def _send(self, session: Session, connection: Connection) -> None:
        for reply in session.data_to_send():
            if isinstance(reply, Error):
                self._counts.errors[reply.code] += 1
            connection.send(connection.wire(encode(reply)))

    def _handle(self, session: Session, event: Event) -> None:
        match event:
            case SubscribeRequested():
                self._subscribing.request(session, event)
            case SubscribeWithdrawn():
                self._subscribing.withdraw(session, event.request)
            case SubscriptionStarted():
                self._start(session, event)
            case SubscriptionEnded():
                self._hub.unsubscribe(session, event.grant.full_name)
                self._notices.unsubscribed(session, event.channel)
            case EventReceived():
                if not self._notices.event(session, event.data):
                    session.refuse_event(event, ErrorCode.LIMIT_EXCEEDED, "the server has too many events to pass on")
            case SessionEnded():
                self._end(session, event)

    def _start(self, session: Session, event: SubscriptionStarted) -> None:
        if not self._shares.take(session):
            session.disconnect(DisconnectCode.TOO_MANY_CONNECTIONS)
            return
        self._rights.subscribed(session, event.grant)
        self._notices.subscribed(session, event.grant)
        # Last, for what was kept for a client that reads slowly may end its session.
        self._hub.subscribe(session, event.grant.full_name, has=event.position)

    def _end(self, session: Session, event: SessionEnded) -> None:
        self._counts.ended[event.code] += 1
        self._hub.leave(session)
        self._subscribing.end(session)
        self._shares.give_back(session)
        self._rights.ended(session)
        self._notices.ended(session)
