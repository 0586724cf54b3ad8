"""
One client's state on the server, without any I/O.

Tell a session what arrived, then collect what follows::

    session.receive_data(text, now=clock())
    for event in session.events_received(): ...     # SubscribeRequested(channel="news", ...)
    for reply in session.data_to_send(): ...        # encode it; the transport decides how it leaves

A session never raises for a mistake of its peer: it answers with a code, and ends after too many.

A subscription is *pending* from :class:`~django_jugpush.core.events.SubscribeRequested` until the owner of the session
calls :meth:`~Session.accept` or :meth:`~Session.refuse`, at once or much later.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from django_jugpush.exceptions import InvalidChannel

from .allowance import Allowance
from .channels import check_name
from .codec import BadCommand
from .codes import DisconnectCode, ErrorCode
from .commands import (
    PROTOCOL_VERSION,
    ClientEvent,
    Command,
    Connected,
    Disconnect,
    Error,
    Meta,
    Ping,
    Pong,
    Renewed,
    Reply,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from .events import (
    Event,
    EventReceived,
    SessionEnded,
    SubscribeRequested,
    SubscribeWithdrawn,
    SubscriptionEnded,
    SubscriptionStarted,
)
from .grants import Grant
from .heartbeat import Heartbeat
from .positions import Position
from .reading import CommandReader
from .subscriptions import Subscriptions

__all__ = ["Session", "SessionState"]

RECOVERY_RATE = 256 * 1024
"""Bytes of what a client has missed that may be sent to it a second in the long run."""

RECOVERY_BURST = 16 * 1024 * 1024
"""How many of them at once: a hundred channels, each with all of a usual history."""


class SessionState(enum.Enum):
    """Where a session is in its one-way life."""

    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    DISCONNECTED = enum.auto()


_TRANSITIONS = {
    SessionState.CONNECTING: {SessionState.CONNECTED, SessionState.DISCONNECTED},
    SessionState.CONNECTED: {SessionState.DISCONNECTED},
    SessionState.DISCONNECTED: set(),
}


class Session:
    """The server's side of the protocol for one client."""

    __slots__ = (
        "_events",
        "_explain",
        "_heartbeat",
        "_held_events",
        "_public_events",
        "_reader",
        "_recovery",
        "_replies",
        "_subscriptions",
        "client",
        "code",
        "meta",
        "state",
    )

    def __init__(
        self,
        *,
        client: str,
        max_message_size: int = 65_536,
        max_subscriptions: int = 100,
        ping_interval: float = 25.0,
        explain: bool = False,
        public_events: bool = False,
    ) -> None:
        self.client = client
        self.state = SessionState.CONNECTING
        self.code: DisconnectCode | None = None
        self.meta: Any = msgspec.UNSET
        """What the client says of itself: anything, and true or not."""
        self._explain = explain
        self._public_events = public_events
        self._reader = CommandReader(max_size=max_message_size, max_subscriptions=max_subscriptions)
        self._heartbeat = Heartbeat(ping_interval)
        self._subscriptions = Subscriptions(max_subscriptions)
        self._recovery: Allowance | None = None
        self._held_events: tuple[EventReceived, ...] = ()
        self._events: list[Event] = []
        self._replies: list[Reply] = []

    @property
    def grants(self) -> dict[str, Grant]:
        """What each running subscription rests on, by channel."""
        return self._subscriptions.grants

    @property
    def user(self) -> str | None:
        """The verified user's primary key as text."""
        return self._subscriptions.user

    @property
    def namespace(self) -> str:
        """Whose client it is: the namespace of the user, or else of a subscription; empty if there is neither."""
        return self._subscriptions.namespace

    # Life

    def connect(self, protocol: str, *, now: float, place: float) -> None:
        """
        Greet the client, or send it away if it does not speak version :data:`PROTOCOL_VERSION`.

        ``place`` is its place among all clients, from 0 to 1.
        """
        if protocol != str(PROTOCOL_VERSION):
            self.disconnect(DisconnectCode.UNKNOWN_PROTOCOL)
            return
        self._move_to(SessionState.CONNECTED)
        self._heartbeat.start(now)
        ping = round(self._heartbeat.interval * 1000)
        self._replies.append(Connected(protocol=PROTOCOL_VERSION, client=self.client, ping=ping, place=place))

    def tick(self, now: float, *, spread: int | None = None) -> bool:
        """Let time pass; ``spread`` goes along with a ping. Return whether anything follows from it."""
        if self.state is not SessionState.CONNECTED:
            return False
        if self._heartbeat.is_silent(now):
            self.disconnect(DisconnectCode.NO_PONG)
        elif self._heartbeat.is_due(now):
            self._replies.append(Ping(spread=spread))
        else:
            return False
        return True

    def disconnect(self, code: DisconnectCode, *, spread: int | None = None) -> None:
        """End the session and tell the client why; and over how many milliseconds those who come back should spread."""
        if self.state is not SessionState.DISCONNECTED:
            self._replies.append(Disconnect(code=code, message=code.message, reconnect=code.reconnect, spread=spread))
            self._end(code)

    def connection_lost(self) -> None:
        """End the session: there is nobody to tell."""
        if self.state is not SessionState.DISCONNECTED:
            self._replies.clear()
            self._end(None)

    def _end(self, code: DisconnectCode | None) -> None:
        self._move_to(SessionState.DISCONNECTED)
        self.code = code
        self._subscriptions.end()
        self._held_events = ()
        self._events.append(SessionEnded(code=code))

    def _move_to(self, state: SessionState) -> None:
        assert state in _TRANSITIONS[self.state], (self.state, state)
        self.state = state

    # What follows

    def events_received(self) -> list[Event]:
        """Return the events since the last call, in order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[Reply]:
        """Return the replies since the last call, in order."""
        replies, self._replies = self._replies, []
        return replies

    # Commands

    def receive_data(self, data: bytes | str, *, now: float) -> str:
        """Take what the client sent, whatever it is; return the command's type, or nothing if it is no command."""
        if self.state is not SessionState.CONNECTED:
            return ""
        self._heartbeat.hear(now)
        command = self._reader.read(data, now)
        if isinstance(command, BadCommand):
            self._refuse_command(command)
            if code := self._reader.verdict:
                self.disconnect(code)
            return ""
        self._receive_command(command, now)
        return str(command.__struct_config__.tag)

    def _receive_command(self, command: Command, now: float) -> None:
        match command:
            case Subscribe():
                self._receive_subscribe(command)
            case Unsubscribe():
                self._receive_unsubscribe(command)
            case Meta():
                self._receive_meta(command, now)
            case ClientEvent():
                self._receive_event(command, now)
            case Ping():
                self._replies.append(Pong())
            case Pong():
                pass

    def _receive_subscribe(self, command: Subscribe) -> None:
        try:
            channel = check_name(command.channel)
        except InvalidChannel as error:
            self._reply_error(ErrorCode.INVALID_CHANNEL, command.id, str(error))
            return
        if code := self._subscriptions.obstacle(channel):
            self._reply_error(code, command.id)
            return
        self._events.append(
            SubscribeRequested(
                request=self._subscriptions.ask(command),
                channel=channel,
                token=command.token,
                is_resumed=command.since is not None,
                since=Position.parse(command.since or ""),
            )
        )

    def _receive_unsubscribe(self, command: Unsubscribe) -> None:
        channel = command.channel
        if grant := self.grants.pop(channel, None):
            self._events.append(SubscriptionEnded(channel=channel, grant=grant))
        elif request := self._subscriptions.withdraw(channel):
            self._events.append(SubscribeWithdrawn(request=request))
            self._settle_events()
        self._replies.append(Unsubscribed(channel=channel, id=command.id))

    def _receive_meta(self, command: Meta, now: float) -> None:
        value = self._reader.read_value(command, now)
        if isinstance(value, BadCommand):
            self._refuse_command(value)
        else:
            self.meta = value

    def _receive_event(self, command: ClientEvent, now: float) -> None:
        value = self._reader.read_value(command, now)
        if isinstance(value, BadCommand):
            self._refuse_command(value)
        else:
            self._held_events += (EventReceived(id=command.id, data=value),)
            self._settle_events()

    def _settle_events(self) -> None:
        """Let events through, or refuse them. They wait for pending subscriptions, whose grants they may need."""
        if self._subscriptions.is_waiting or not self._held_events:
            return
        if self._public_events or not all(grant.is_public for grant in self.grants.values()):
            self._events += self._held_events
        else:
            for event in self._held_events:
                self.refuse_event(event, ErrorCode.DENIED, "events need a subscription that is not public")
        self._held_events = ()

    def refuse_event(self, event: EventReceived, code: ErrorCode, detail: str = "") -> None:
        """Tell the client that an event did not get through."""
        self._reply_error(code, event.id, detail)

    # Subscriptions

    def accept(
        self,
        request: int,
        grant: Grant,
        *,
        recovered: bool = False,
        publications: Sequence[bytes] = (),
        position: Position | None = None,
        more: bool = False,
        spread: int = 0,
        token: str | None = None,
    ) -> bool:
        """
        Grant a pending subscription; return whether it has started.

        The first grant that belongs to a login fixes whose session this is; grants of others are refused from then on.
        A request that was withdrawn meanwhile is ignored.

        Args:
            request: The number of the event ``SubscribeRequested``.
            grant: What it rests on.
            recovered: Whether nothing is missing, of what a client that resumes wants to have.
            publications: What it gets before the live ones: each as it comes live, as one line of JSON.
            position: Where it stands when it has them.
            more: Whether there are more of them: it has to ask for these, and the subscription does not start.
            spread: Milliseconds, over which those are to be spread who have not recovered.
            token: With which the client comes back after its connection broke.
        """
        if not self._subscriptions.is_pending(request):
            return False
        if not self._subscriptions.admit(grant):
            self.refuse(request, ErrorCode.IDENTITY_MISMATCH)
            return False
        command = self._subscriptions.settle(request)
        assert command is not None
        is_resumed = command.since is not None
        self._replies.append(
            Subscribed(
                channel=command.channel,
                id=command.id,
                recovered=recovered if is_resumed else None,
                publications=tuple(map(msgspec.Raw, publications)),
                position=str(position) if position else None,
                more=more,
                spread=None if recovered or not is_resumed else spread,
                token=None if more else token,
            )
        )
        if more:
            return False
        self._subscriptions.hold(grant)
        self._events.append(SubscriptionStarted(channel=command.channel, grant=grant, position=position))
        self._settle_events()
        return True

    def refuse(
        self, request: int, code: ErrorCode, detail: str = "", *, renew: str | None = None, spread: int | None = None
    ) -> None:
        """
        Refuse a pending subscription. ``detail`` reaches the client only if the session explains.

        A client that is to fetch its page again hands ``renew`` on, in its turn within ``spread`` milliseconds.
        """
        if command := self._subscriptions.settle(request):
            if command.token is not None and code is ErrorCode.DENIED:
                self._reader.charge_failed_token(self._heartbeat.heard_at)
            self._reply_error(code, command.id, detail, renew=renew, spread=spread)
            self._settle_events()

    def end_subscription(
        self, channel: str, code: ErrorCode, detail: str = "", *, renew: str | None = None, spread: int | None = None
    ) -> None:
        """End a running subscription, and tell the client why; the arguments are those of :meth:`refuse`."""
        grant = self.grants.pop(channel)
        self._events.append(SubscriptionEnded(channel=channel, grant=grant))
        self._replies.append(
            Unsubscribed(
                channel=channel,
                code=code,
                message=self._message(code, detail),
                temporary=code.temporary,
                renew=renew,
                spread=spread,
            )
        )

    def grants_to_renew(self, now: float) -> list[Grant]:
        """Return the grants whose time has come, in seconds since 1970; each once, until it is renewed or put off."""
        return self._subscriptions.due(now)

    def renew(self, grant: Grant, token: str) -> None:
        """Let a subscription go on, on another grant; the client gets the token with which it comes back."""
        self._subscriptions.hold(grant)
        self._replies.append(Renewed(channel=grant.channel, token=token))

    def put_off(self, grant: Grant, *, until: float) -> None:
        """Try to renew a grant later."""
        self._subscriptions.hold(replace(grant, renew_at=until))

    # Recovery

    def may_recover(self, now: float) -> bool:
        """
        Tell whether the client may be sent what it has missed; ask before that is read.

        A few bytes can ask for the whole history of a channel, again and again. A client that may not is told that it
        is not recovered.
        """
        return self._recovery is None or self._recovery.take(now, 0)

    def charge(self, size: int, *, now: float) -> None:
        """Take note of how many bytes of what it has missed were sent to the client."""
        if self._recovery is None:
            self._recovery = Allowance(rate=RECOVERY_RATE, burst=RECOVERY_BURST)
        self._recovery.charge(now, size)

    # Helpers

    def _refuse_command(self, command: BadCommand) -> None:
        self._reply_error(command.code, command.id, command.detail)

    def _reply_error(
        self, code: ErrorCode, id: int | None, detail: str = "", *, renew: str | None = None, spread: int | None = None
    ) -> None:
        message = self._message(code, detail)
        self._replies.append(
            Error(id=id, code=code, message=message, temporary=code.temporary, renew=renew, spread=spread)
        )

    def _message(self, code: ErrorCode, detail: str) -> str:
        return detail if detail and self._explain else code.message
