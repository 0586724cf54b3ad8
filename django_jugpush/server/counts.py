"""What a push server counts, as cheaply as that can be done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django_jugpush.core.codes import DisconnectCode

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Totals since the start. Their keys are from closed tables: nothing that a client chooses becomes one."""

    received: int = 0
    """Publications that the feed delivered."""

    delivered: int = 0
    """Publications that were handed to connections."""

    commands: Counter[str] = field(default_factory=Counter)
    """Messages of clients, by type of command; those that are no command have none."""

    errors: Counter[int] = field(default_factory=Counter)
    """Commands that were refused, by error code."""

    refused: Counter[DisconnectCode] = field(default_factory=Counter)
    """Connections that were ended before they began."""

    control: Counter[str] = field(default_factory=Counter)
    """Messages about logins and rights, by kind; ``dropped`` are those that are not the project's, or came before."""

    stopped: Counter[int] = field(default_factory=Counter)
    """Subscriptions that the server ended, by error code."""

    renewals: Counter[str] = field(default_factory=Counter)
    """Subscriptions that were ``renewed``, ``put_off``, or that ``ended`` instead."""

    ended: Counter[DisconnectCode | None] = field(default_factory=Counter)
    """Connections that ended, those that were refused included; None: by the client."""
