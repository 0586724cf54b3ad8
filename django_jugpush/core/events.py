"""What follows from what a session was told: values for the session's owner, who sees to them in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .codes import DisconnectCode
from .grants import Grant
from .positions import Position

__all__ = [
    "Event",
    "EventReceived",
    "SessionEnded",
    "SubscribeRequested",
    "SubscribeWithdrawn",
    "SubscriptionEnded",
    "SubscriptionStarted",
]


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
