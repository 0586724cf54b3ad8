"""The users who are connected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from django_jugpush.core.grants import Grant
from django_jugpush.core.session import Session

__all__ = ["ConnectedUsers"]


class ConnectedUsers:
    """The sessions of each user of a namespace."""

    def __init__(self) -> None:
        self._sessions: defaultdict[tuple[str, str], set[Session]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: Session, grant: Grant) -> None:
        """Take note of a session that has a grant; of visitors none is taken."""
        if grant.user is not None:
            self._sessions[grant.namespace, grant.user].add(session)

    def remove(self, session: Session) -> None:
        """Take note that a session is no more."""
        key = session.namespace, session.user or ""
        if sessions := self._sessions.get(key):
            sessions.discard(session)
            if not sessions:
                del self._sessions[key]

    def sessions(self, namespace: str, users: Iterable[str]) -> list[Session]:
        """Return the sessions of these users."""
        return [session for user in users for session in self._sessions.get((namespace, user), ())]

    def fingerprints(self) -> dict[tuple[str, str], Collection[str | None]]:
        """Return the fingerprints that each user's grants have."""
        return {
            key: {
                grant.fingerprint for session in sessions for grant in session.grants.values() if grant.user is not None
            }
            for key, sessions in self._sessions.items()
        }
