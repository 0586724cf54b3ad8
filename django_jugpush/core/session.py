"""
One client's state on the server, without any I/O.

Tell a session what arrived, then collect what follows::

    session.receive_data(text, now=clock())
    for event in session.events_received(): ...     # SubscribeRequested(channel="news", ...)
    for reply in session.data_to_send(): ...        # encode it; the transport decides how it leaves

A session never raises for a mistake of its peer: it answers with a code, and ends after too many.

A subscription is *pending* from :class:`SubscribeRequested` until the owner of the session calls
:meth:`~Session.accept` or :meth:`~Session.refuse`, at once or much later.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from django_jugpush.exceptions import InvalidChannel

from .allowance import Allowance
from .channels import check_name
from .codec import BadCommand, decode_command
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
from .grants import Grant
from .positions import Position
from .values import read_value

__all__ = [
    "MAX_BAD_COMMANDS",
    "MAX_EVENT_BYTES",
    "MAX_META_BYTES",
    "Event",
    "EventReceived",
    "Session",
    "SessionEnded",
    "SessionState",
    "SubscribeRequested",
    "SubscribeWithdrawn",
    "SubscriptionEnded",
    "SubscriptionStarted",
    "is_client_id",
]

MAX_BAD_COMMANDS = 20
"""So many commands in a row that cannot be understood end a session."""

MAX_META_BYTES = 1024
"""The longest ``meta`` of a client, as JSON."""

MAX_EVENT_BYTES = 4096
"""The longest data of a client's event, as JSON."""

EVENT_RATE = 10.0
"""How many ``meta`` and ``event`` commands a client may send a second in the long run."""

EVENT_BURST = 50
"""How many it may send at once."""

COMMAND_RATE = 50.0
"""How many commands a client may send a second in the long run."""

COMMAND_BURST = 200
"""How many it may send at once, beside :data:`FAILED_TOKEN_COST` for each subscription that it may have."""

FAILED_TOKEN_COST = 10
"""How many commands one counts for whose token opens nothing. A page of before a change of keys may have only such."""

MESSAGES_PER_SECOND = 1
"""How many messages of the greatest length a client may send a second in the long run."""

MESSAGES_AT_ONCE = 32
"""How many of them at once, beside :data:`SUBSCRIBE_BYTES` for each subscription that it may have."""

SUBSCRIBE_BYTES = 2048
"""More than a ``subscribe`` takes, with the longest name, token and position."""

MAX_EXCESS = 20
"""So many commands in a row that are too many end a session."""

RECOVERY_RATE = 256 * 1024
"""Bytes of what a client has missed that may be sent to it a second in the long run."""

RECOVERY_BURST = 16 * 1024 * 1024
"""How many of them at once: a hundred channels, each with all of a usual history."""

_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequested:
    """The client asks for a channel. Answer with ``accept`` or ``refuse``, and give ``request`` back."""

    request: int
    channel: str
    token: str | None
    is_resumed: bool
    """Whether the client says that it has something of the channel, and wants what came after."""

    since: Position | None
    """Up to where it has everything; None if it does not resume, or its position is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeWithdrawn:
    """The client no longer asks. No answer is awaited."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStarted:
    """The client gets what is published to ``channel`` from here on."""

    channel: str
    grant: Grant

    position: Position | None = None
    """Up to where it has everything; None if nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnded:
    """The client gets no more of ``channel``."""

    channel: str
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceived:
    """The client tells the project something. Answer with ``refuse_event`` if nobody can take it."""

    id: int | None
    data: Any
    """Unset if it sent none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """Nothing follows. Subscriptions that were running have ended without events of their own."""

    code: DisconnectCode | None
    """None if the client went by itself."""


Event = SubscribeRequested | SubscribeWithdrawn | SubscriptionStarted | SubscriptionEnded | EventReceived | SessionEnded


class Session:
    """The server's side of the protocol for one client."""

    __slots__ = (
        "_allowance",
        "_bad_commands",
        "_bytes",
        "_commands",
        "_events",
        "_excess",
        "_explain",
        "_heard_at",
        "_held_events",
        "_identity",
        "_max_message_size",
        "_max_subscriptions",
        "_pending",
        "_ping_due",
        "_ping_interval",
        "_public_events",
        "_recovery",
        "_renew_at",
        "_replies",
        "_requests",
        "client",
        "code",
        "grants",
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
        self.grants: dict[str, Grant] = {}
        self.meta: Any = msgspec.UNSET
        """What the client says of itself: anything, and true or not."""
        self._max_message_size = max_message_size
        self._max_subscriptions = max_subscriptions
        self._ping_interval = ping_interval
        self._explain = explain
        self._public_events = public_events
        self._commands = Allowance(rate=COMMAND_RATE, burst=COMMAND_BURST + FAILED_TOKEN_COST * max_subscriptions)
        self._bytes = Allowance(
            rate=MESSAGES_PER_SECOND * max_message_size,
            burst=MESSAGES_AT_ONCE * max_message_size + SUBSCRIBE_BYTES * max_subscriptions,
        )
        self._excess = 0
        self._recovery: Allowance | None = None
        self._allowance: Allowance | None = None
        self._held_events: list[EventReceived] = []
        self._pending: dict[int, Subscribe] = {}
        self._requests = 0
        self._identity: tuple[str | None, str | None, str] | None = None
        self._bad_commands = 0
        self._heard_at = 0.0
        self._ping_due = 0.0
        self._renew_at = math.inf
        self._events: list[Event] = []
        self._replies: list[Reply] = []

    @property
    def user(self) -> str | None:
        """The verified user's primary key as text."""
        return self._identity[0] if self._identity else None

    @property
    def namespace(self) -> str:
        """Whose client it is: the namespace of the user, or else of a subscription; empty if there is neither."""
        if self._identity:
            return self._identity[2]
        return next((grant.namespace for grant in self.grants.values()), "")

    # What happens to a session

    def connect(self, protocol: str, *, now: float, place: float) -> None:
        """
        Greet the client, or send it away if it does not speak version :data:`PROTOCOL_VERSION`.

        ``place`` is its place among all clients, from 0 to 1.
        """
        if protocol != str(PROTOCOL_VERSION):
            self.disconnect(DisconnectCode.UNKNOWN_PROTOCOL)
            return
        self._move_to(SessionState.CONNECTED)
        self._heard_at = now
        self._ping_due = now + self._ping_interval
        self._replies.append(
            Connected(
                protocol=PROTOCOL_VERSION, client=self.client, ping=round(self._ping_interval * 1000), place=place
            )
        )

    def receive_data(self, data: bytes | str, *, now: float) -> str:
        """Take what the client sent, whatever it is; return the command's type, or nothing if it is no command."""
        if self.state is not SessionState.CONNECTED:
            return ""
        self._heard_at = now
        if not (self._commands.take(now) and self._bytes.take(now, min(len(data), self._max_message_size))):
            self._receive_excess()
            return ""
        self._excess = 0
        # Most transports end such a connection by themselves, before they have read all of the message.
        too_long = len(data) > self._max_message_size
        command = (
            BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail="message too long") if too_long else decode_command(data)
        )
        if isinstance(command, BadCommand):
            self._receive_bad_command(command)
            return ""
        self._bad_commands = 0
        self._receive_command(command, now)
        return str(command.__struct_config__.tag)

    def tick(self, now: float, *, spread: int | None = None) -> bool:
        """Let time pass; ``spread`` goes along with a ping. Return whether anything follows from it."""
        if self.state is not SessionState.CONNECTED:
            return False
        if now - self._heard_at >= 2 * self._ping_interval:
            self.disconnect(DisconnectCode.NO_PONG)
        elif now >= self._ping_due:
            self._ping_due = now + self._ping_interval
            self._replies.append(Ping(spread=spread))
        else:
            return False
        return True

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
            request: The number of the event :class:`SubscribeRequested`.
            grant: What it rests on.
            recovered: Whether nothing is missing, of what a client that resumes wants to have.
            publications: What it gets before the live ones: each as it comes live, as one line of JSON.
            position: Where it stands when it has them.
            more: Whether there are more of them: it has to ask for these, and the subscription does not start.
            spread: Milliseconds, over which those are to be spread who have not recovered.
            token: With which the client comes back after its connection broke.
        """
        if request not in self._pending:
            return False
        if not self._is_of_same_identity(grant):
            self.refuse(request, ErrorCode.IDENTITY_MISMATCH)
            return False
        command = self._pending.pop(request)
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
        self._hold(grant)
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
        if command := self._pending.pop(request, None):
            if command.token is not None and code is ErrorCode.DENIED:
                self._commands.charge(self._heard_at, FAILED_TOKEN_COST - 1)
            self._reply_error(code, command.id, detail, renew=renew, spread=spread)
            self._settle_events()

    def grants_to_renew(self, now: float) -> list[Grant]:
        """Return the grants whose time has come, in seconds since 1970; each once, until it is renewed or put off."""
        if now < self._renew_at:
            return []
        due = [grant for grant in self.grants.values() if grant.renew_at is not None and grant.renew_at <= now]
        for grant in due:
            self.grants[grant.channel] = replace(grant, renew_at=None)
        times = (grant.renew_at for grant in self.grants.values() if grant.renew_at is not None)
        self._renew_at = min(times, default=math.inf)
        return [self.grants[grant.channel] for grant in due]

    def renew(self, grant: Grant, token: str) -> None:
        """Let a subscription go on, on another grant; the client gets the token with which it comes back."""
        self._hold(grant)
        self._replies.append(Renewed(channel=grant.channel, token=token))

    def put_off(self, grant: Grant, *, until: float) -> None:
        """Try to renew a grant later."""
        self._hold(replace(grant, renew_at=until))

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
                message=detail if detail and self._explain else code.message,
                temporary=code.temporary,
                renew=renew,
                spread=spread,
            )
        )

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

    def refuse_event(self, event: EventReceived, code: ErrorCode, detail: str = "") -> None:
        """Tell the client that an event did not get through."""
        self._reply_error(code, event.id, detail)

    def disconnect(self, code: DisconnectCode, *, spread: int | None = None) -> None:
        """End the session and tell the client why; and over how many milliseconds those who come back should spread."""
        if self.state is SessionState.DISCONNECTED:
            return
        self._replies.append(Disconnect(code=code, message=code.message, reconnect=code.reconnect, spread=spread))
        self._end(code)

    def connection_lost(self) -> None:
        """End the session: there is nobody to tell."""
        if self.state is not SessionState.DISCONNECTED:
            self._replies.clear()
            self._end(None)

    # What follows from it

    def events_received(self) -> list[Event]:
        """Return the events since the last call, in order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[Reply]:
        """Return the replies since the last call, in order."""
        replies, self._replies = self._replies, []
        return replies

    # Commands

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
        if channel in self.grants or any(pending.channel == channel for pending in self._pending.values()):
            self._reply_error(ErrorCode.ALREADY_SUBSCRIBED, command.id)
        elif len(self.grants) + len(self._pending) >= self._max_subscriptions:
            self._reply_error(ErrorCode.LIMIT_EXCEEDED, command.id)
        else:
            self._requests += 1
            self._pending[self._requests] = command
            self._events.append(
                SubscribeRequested(
                    request=self._requests,
                    channel=channel,
                    token=command.token,
                    is_resumed=command.since is not None,
                    since=Position.parse(command.since or ""),
                )
            )

    def _receive_unsubscribe(self, command: Unsubscribe) -> None:
        if grant := self.grants.pop(command.channel, None):
            self._events.append(SubscriptionEnded(channel=command.channel, grant=grant))
        else:
            self._withdraw(command.channel)
        self._replies.append(Unsubscribed(channel=command.channel, id=command.id))

    def _withdraw(self, channel: str) -> None:
        for request, pending in self._pending.items():
            if pending.channel == channel:
                del self._pending[request]
                self._events.append(SubscribeWithdrawn(request=request))
                self._settle_events()
                return

    def _receive_meta(self, command: Meta, now: float) -> None:
        value = self._read_value(command, MAX_META_BYTES, now)
        if isinstance(value, BadCommand):
            self._reply_error(value.code, value.id, value.detail)
        else:
            self.meta = value

    def _receive_event(self, command: ClientEvent, now: float) -> None:
        value = self._read_value(command, MAX_EVENT_BYTES, now)
        if isinstance(value, BadCommand):
            self._reply_error(value.code, value.id, value.detail)
        else:
            self._held_events.append(EventReceived(id=command.id, data=value))
            self._settle_events()

    def _read_value(self, command: Meta | ClientEvent, limit: int, now: float) -> Any | BadCommand:
        """Return what a command carries, or why it is refused."""
        text = bytes(command.data)
        if self._allowance is None:
            self._allowance = Allowance(rate=EVENT_RATE, burst=EVENT_BURST)
        if not self._allowance.take(now):
            return BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail="too many in a short time", id=command.id)
        if len(text) > limit:
            return BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail=f"more than {limit} bytes", id=command.id)
        if not text:
            return msgspec.UNSET
        try:
            return read_value(text.decode())
        except ValueError as error:
            return BadCommand(code=ErrorCode.BAD_REQUEST, detail=str(error)[:200], id=command.id)

    def _settle_events(self) -> None:
        """Let events through, or refuse them. They wait for pending subscriptions, whose grants they may need."""
        if self._pending or not self._held_events:
            return
        if self._public_events or any(grant.granted_by != "public" for grant in self.grants.values()):
            self._events += self._held_events
        else:
            for event in self._held_events:
                self.refuse_event(event, ErrorCode.DENIED, "events need a subscription that is not public")
        self._held_events = []

    def _receive_bad_command(self, command: BadCommand) -> None:
        self._reply_error(command.code, command.id, command.detail)
        self._bad_commands += 1
        if self._bad_commands >= MAX_BAD_COMMANDS:
            self.disconnect(DisconnectCode.TOO_MANY_ERRORS)

    def _receive_excess(self) -> None:
        # It is not even decoded, so the answer has no id.
        self._reply_error(ErrorCode.LIMIT_EXCEEDED, None, "too many commands in a short time")
        self._excess += 1
        if self._excess >= MAX_EXCESS:
            self.disconnect(DisconnectCode.TOO_MANY_COMMANDS)

    # Helpers

    def _hold(self, grant: Grant) -> None:
        self.grants[grant.channel] = grant
        if grant.renew_at is not None:
            self._renew_at = min(self._renew_at, grant.renew_at)

    def _reply_error(
        self, code: ErrorCode, id: int | None, detail: str = "", *, renew: str | None = None, spread: int | None = None
    ) -> None:
        message = detail if detail and self._explain else code.message
        self._replies.append(
            Error(id=id, code=code, message=message, temporary=code.temporary, renew=renew, spread=spread)
        )

    def _is_of_same_identity(self, grant: Grant) -> bool:
        if (grant.user, grant.login) == (None, None):
            return True
        identity = (grant.user, grant.login, grant.namespace)
        if self._identity is None:
            self._identity = identity
        return self._identity == identity

    def _end(self, code: DisconnectCode | None) -> None:
        self._move_to(SessionState.DISCONNECTED)
        self.code = code
        self.grants.clear()
        self._pending.clear()
        self._held_events = []
        self._events.append(SessionEnded(code=code))

    def _move_to(self, state: SessionState) -> None:
        assert state in _TRANSITIONS[self.state], (self.state, state)
        self.state = state


def is_client_id(text: str) -> bool:
    """Tell whether ``text`` may be the id of a client: 16 to 64 letters, digits, ``_`` or ``-``."""
    return _CLIENT_ID.fullmatch(text) is not None
