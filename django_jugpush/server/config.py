"""What can be chosen about a push server."""

from __future__ import annotations

from dataclasses import dataclass

from django_jugpush.core.hub import REFRESH_RATE

__all__ = ["ServerConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What can be chosen. The defaults are those of ``JUGPUSH``."""

    path: str = "/juggernaut/"
    """Where the server is mounted. Its addresses are answered with this prefix and without."""

    max_message_size: int = 65_536
    """Bytes of one message from a client; with a longer one uvicorn ends the connection by WebSocket's code 1009."""

    max_subscriptions: int = 100
    """Channels of one connection."""

    max_channels: int = 100_000
    """Channels that all connections together may be subscribed to."""

    max_connections: int | None = None
    """Connections in all; None: as many as there may be open files, less some for the rest."""

    max_connections_per_address: int | None = 1000
    """Connections of one address; None: any number."""

    max_connections_per_user: int | None = 100
    """Connections of one signed-in user; None: any number."""

    max_pending: int = 1_048_576
    """Bytes that may wait for a client that reads slowly."""

    ping_interval: float = 25.0
    """Seconds between heartbeats."""

    refresh_rate: int = REFRESH_RATE
    """How many clients should ask the site again per second, when all of them have a reason to."""

    explain: bool = False
    """Whether clients are told details of a refusal: in development only."""

    public_events: bool = False
    """Whether clients may send events that have no subscription but public ones."""
