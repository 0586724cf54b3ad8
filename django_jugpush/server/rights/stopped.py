"""
Subscriptions that were stopped a moment ago.

One that comes back, for the right was never away for long, may read what the one before it could: a fresh token would
open nothing from before.
"""

from __future__ import annotations

from dataclasses import replace

from django_jugpush.core.grants import Grant
from django_jugpush.core.session import Session

__all__ = ["REMEMBERED", "Stopped"]

REMEMBERED = 120.0
"""Seconds for which a subscription that was stopped can come back without losing what it could read of the past."""


class Stopped:
    """What subscriptions rested on when they were stopped, for a while."""

    def __init__(self) -> None:
        self._grants: dict[Session, dict[str, tuple[Grant, float]]] = {}

    def __len__(self) -> int:
        """Count the sessions that have some."""
        return len(self._grants)

    def add(self, session: Session, grant: Grant, *, now: float) -> None:
        """Remember a subscription that is stopped."""
        self._grants.setdefault(session, {})[grant.channel] = grant, now

    def remove(self, session: Session, channel: str) -> None:
        """Forget a subscription that is back."""
        self._grants.get(session, {}).pop(channel, None)

    def forget(self, session: Session) -> None:
        """Forget a session that is no more."""
        self._grants.pop(session, None)

    def prune(self, now: float) -> None:
        """Forget what was stopped too long ago."""
        for session, stopped in list(self._grants.items()):
            left = {channel: entry for channel, entry in stopped.items() if now - entry[1] <= REMEMBERED}
            if left:
                self._grants[session] = left
            else:
                del self._grants[session]

    def with_past(self, session: Session, grant: Grant, *, now: float) -> Grant:
        """Return the grant with what its session could read of the past when it was stopped."""
        before, at = self._grants.get(session, {}).get(grant.channel, (None, 0.0))
        if before is None or grant.is_public or now - at > REMEMBERED:
            return grant
        if (before.namespace, before.user, before.login) != (grant.namespace, grant.user, grant.login):
            return grant
        earliest = min(before.history_from or 0.0, grant.history_from or 0.0)
        return replace(grant, history_from=earliest)
