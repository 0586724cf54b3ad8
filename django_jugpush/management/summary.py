"""What a command says of the project when its push server is ready."""

from __future__ import annotations

from django_jugpush import declarations
from django_jugpush.conf import get_config
from django_jugpush.publishing import registry

__all__ = ["broker_name", "tally"]


def broker_name(broker: str | None = None) -> str:
    """Return the scheme of ``broker``, by default ``BROKER``, or the class at the end of its dotted path."""
    broker = broker or get_config().BROKER or "local"
    return broker.partition(":")[0].rpartition(".")[2]


def tally() -> str:
    """Say how much was found in the apps' ``push.py``."""
    counts = {"model": registry.counts(), "channel": declarations.count()}
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
