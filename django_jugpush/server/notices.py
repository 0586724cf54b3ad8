"""Telling the project what clients do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from django_jugpush.core.grants import Grant
from django_jugpush.core.notices import Notice, NoticeKind, trusted_meta
from django_jugpush.core.session import Session

__all__ = ["Notices", "Taker"]


class Taker(Protocol):
    """Somebody who wants to know. Called on the push server's event loop."""

    async def start(self) -> None:
        """Get ready to take notices."""

    async def stop(self) -> None:
        """Pass on what was taken, within a few seconds; take no more."""

    def take(self, notice: Notice) -> bool:
        """Take a notice, at once; return whether there was room for it."""


class _Following(NamedTuple):
    """Who follows what."""

    client: str
    user: str | None
    namespace: str
    channel: str


class Notices:
    """
    Says once when a client begins to follow a channel, and once when it has ceased to.

    A client that comes back before its broken connection was noticed is on a channel twice for a while: the end of the
    first of the two connections is then not the end of its following.
    """

    def __init__(self, takers: Sequence[Taker] = ()) -> None:
        self._takers = takers
        self._followed: dict[Session, dict[str, _Following]] = {}
        self._connections: Counter[_Following] = Counter()

    async def start(self) -> None:
        """Begin."""
        for taker in self._takers:
            await taker.start()

    async def stop(self) -> None:
        """Pass on what is left."""
        for taker in self._takers:
            await taker.stop()

    def subscribed(self, session: Session, grant: Grant) -> None:
        """Take note that a session follows a channel."""
        if not self._takers:
            return
        following = _Following(session.client, session.user, grant.namespace, grant.channel)
        self._followed.setdefault(session, {})[grant.channel] = following
        self._connections[following] += 1
        if self._connections[following] == 1:
            self._tell("subscribe", session, namespace=grant.namespace, channel=grant.channel)

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Take note that a session follows a channel no more."""
        if following := self._followed.get(session, {}).pop(channel, None):
            self._connections[following] -= 1
            if not self._connections[following]:
                del self._connections[following]
                self._tell("unsubscribe", session, namespace=following.namespace, channel=channel)

    def ended(self, session: Session) -> None:
        """Take note that a session follows nothing any more."""
        for channel in tuple(self._followed.get(session, ())):
            self.unsubscribed(session, channel)
        self._followed.pop(session, None)

    def event(self, session: Session, data: Any) -> bool:
        """Pass on a client's event; return whether everybody had room for it."""
        return self._tell("custom", session, namespace=session.namespace, data=data)

    def _tell(self, kind: NoticeKind, session: Session, **what: Any) -> bool:
        meta = trusted_meta(session.meta, session.user)
        notice = Notice(kind=kind, client=session.client, user=session.user, meta=meta, **what)
        taken = [taker.take(notice) for taker in self._takers]  # all of them, whoever has no room
        return all(taken)
