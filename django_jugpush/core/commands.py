"""
The words of the wire: what a client may say, and what it is told.

Each word is one JSON object; ``docs/reference/protocol.rst`` is the specification. A publication is the one object
without a ``type``, as it was in 2011.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .publication import StaleReason

__all__ = [
    "PROTOCOL_VERSION",
    "ClientEvent",
    "Command",
    "Connected",
    "Delivery",
    "Disconnect",
    "Error",
    "Meta",
    "Ping",
    "Pong",
    "Renewed",
    "Reply",
    "Stale",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
]

PROTOCOL_VERSION = 1
"""What a client states as ``protocol`` when it connects."""

CommandId = Annotated[int, msgspec.Meta(gt=0, lt=2**53)]
"""Chosen by the client and echoed in the answer; every JavaScript number of this range is exact."""


class _Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    """Base of everything that has a ``type``. Holds no reference to others, so the garbage collector may skip it."""


# Said by the client


class Subscribe(_Word, frozen=True, tag="subscribe"):
    """Ask for what is published to a channel."""

    channel: str
    id: CommandId | None = None
    token: str | None = None
    since: str | None = None
    """
    The last position that the client knows, or the moment at which its page was rendered: it wants what came after.
    Empty if it was subscribed before and knows no position.
    """


class Unsubscribe(_Word, frozen=True, tag="unsubscribe"):
    """Ask for no more of a channel."""

    channel: str
    id: CommandId | None = None


class Meta(_Word, frozen=True, tag="meta"):
    """Say something of oneself, in the place of what was said before."""

    data: msgspec.Raw = msgspec.Raw()
    id: CommandId | None = None


class ClientEvent(_Word, frozen=True, tag="event"):
    """Tell the project something. It reaches no other client."""

    data: msgspec.Raw = msgspec.Raw()
    id: CommandId | None = None


# Said by both


class Ping(_Word, frozen=True, tag="ping"):
    """Ask for a sign of life."""

    spread: int | None = None
    """
    Said by the server: milliseconds over which its clients should spread what they do if all have missed something.

    One that was started anew does not know how many they are until they are back.
    """


class Pong(_Word, frozen=True, tag="pong"):
    """Give one."""


# Said by the server


class Connected(_Word, frozen=True, tag="connected"):
    """The first word of every connection that is not refused."""

    protocol: int
    client: str
    ping: int
    """Milliseconds between heartbeats."""

    place: float
    """From 0 to 1: which part of each ``spread`` the client waits before its first turn."""


class Subscribed(_Word, frozen=True, tag="subscribed"):
    """The answer to :class:`Subscribe`; ``recovered`` only to one with ``since``."""

    channel: str
    id: int | None = None
    recovered: bool | None = None
    """Whether nothing was missed, counting what is in ``publications`` and in the pages that follow."""

    publications: tuple[msgspec.Raw, ...] = ()
    """What came after ``since``, in order; or the newest, of a channel that keeps it. Each as it comes live."""

    position: str | None = None
    """Where the client stands when it has taken them."""

    more: bool = False
    """Whether there are more: the client is not subscribed yet, and asks again with ``since`` from ``position``."""

    spread: int | None = None
    """Milliseconds; only if ``recovered`` is false."""

    token: str | None = None
    """Brings the subscription back after a broken connection; absent of public channels."""


class Renewed(_Word, frozen=True, tag="renewed"):
    """A subscription goes on beyond its hour: the token of before is replaced."""

    channel: str
    token: str


class Unsubscribed(_Word, frozen=True, tag="unsubscribed"):
    """The answer to :class:`Unsubscribe`; or, with a ``code``, the server's own word that a subscription has ended."""

    channel: str
    id: int | None = None
    code: int | None = None
    message: str | None = None
    temporary: bool | None = None
    """Whether to ask again with the token that the client has."""

    spread: int | None = None
    """Milliseconds; a client waits for its turn within it before it does."""

    renew: str | None = None
    """What the client hands on when it fetches its page again."""


class Stale(_Word, frozen=True, tag="stale"):
    """What the client has of a channel is not complete."""

    channel: str
    reason: StaleReason
    spread: int
    """Milliseconds; a client waits for its turn within it before it fetches anything."""

    position: str | None = None


class Error(_Word, frozen=True, tag="error"):
    """A command was refused."""

    code: int
    message: str
    temporary: bool
    id: int | None = None
    spread: int | None = None
    """Milliseconds; a client waits for its turn within it before it fetches its page again."""

    renew: str | None = None
    """What the client hands on when it does."""


class Disconnect(_Word, frozen=True, tag="disconnect"):
    """The last word of the server."""

    code: int
    message: str
    reconnect: bool
    spread: int | None = None
    """Milliseconds; a client waits for its turn within it before it comes back."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A publication, as a client gets it."""

    channel: str
    data: msgspec.Raw
    position: str | None = None
    """Where the client stands when it has taken it; absent of what can be had only now."""

    version: int | None = None
    spread: int | None = None


Command = Subscribe | Unsubscribe | Meta | ClientEvent | Ping | Pong
Reply = Connected | Subscribed | Renewed | Unsubscribed | Stale | Error | Disconnect | Ping | Pong | Delivery
