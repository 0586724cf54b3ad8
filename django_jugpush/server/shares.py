"""How many connections each user has."""

from __future__ import annotations

from collections import Counter

from django_jugpush.core.session import Session

__all__ = ["Shares"]


class Shares:
    """
    Lets each signed-in user have so many connections.

    Whose a session is, is known from its first subscription by a token of a login.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._owners: dict[Session, tuple[str, str]] = {}
        self._connections: Counter[tuple[str, str]] = Counter()

    def take(self, session: Session) -> bool:
        """Count a session as one of its user, once; return whether there was one left. Visitors are not counted."""
        if self._limit is None or session.user is None or session in self._owners:
            return True
        owner = (session.namespace, session.user)
        if self._connections[owner] >= self._limit:
            return False
        self._owners[session] = owner
        self._connections[owner] += 1
        return True

    def give_back(self, session: Session) -> None:
        """Count a session no more."""
        if owner := self._owners.pop(session, None):
            self._connections[owner] -= 1
            if not self._connections[owner]:
                del self._connections[owner]
