"""Subscriptions and sessions that a change of rights ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.control import ControlMessage
from django_jugpush.core.grants import Grant
from django_jugpush.core.hub import Hub
from django_jugpush.core.revocation import Verdict
from django_jugpush.core.session import Session
from django_jugpush.server.counts import Counts
from django_jugpush.server.types import Drive

from .background import Background
from .judging import Judge
from .stopped import Stopped
from .users import ConnectedUsers

__all__ = ["SESSIONS_PER_TURN", "Enforcer"]

SESSIONS_PER_TURN = 50
"""How many sessions are stopped in one turn of the event loop."""


class Enforcer:
    """
    Stops at once whoever is concerned.

    Args:
        judge: Says what grants are worth.
        hub: Knows who listens.
        counts: Takes notes for operators.
        drive: Does what follows for a session.
        background: Has the rest done, where many are concerned.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        judge: Judge,
        hub: Hub,
        counts: Counts,
        *,
        drive: Drive,
        background: Background,
        clock: Callable[[], float],
    ) -> None:
        self.users = ConnectedUsers()
        """Whom messages may concern."""
        self.stopped = Stopped()
        """What has been stopped, and may come back."""
        self._judge = judge
        self._hub = hub
        self._counts = counts
        self._drive = drive
        self._background = background
        self._clock = clock

    def obey(self, message: ControlMessage, *, published: float = 0.0) -> None:
        """Do what a message says, unless it came before; ``published`` is when it was, if the broker knows that."""
        if not self._judge.revocations.apply(message, now=self._clock(), published=published):
            self._counts.control["dropped"] += 1
            return
        self._counts.control[message.kind] += 1
        concerned = self._concerned(message)
        if message.kind == "disconnect":
            for session in concerned:
                session.disconnect(DisconnectCode.SENT_AWAY)
                self._drive(session)
        else:
            self._enforce(concerned)

    def look_at_all(self) -> None:
        """Stop whatever is no longer good."""
        self._enforce(list(self._hub))

    def stop(
        self, session: Session, grant: Grant, code: ErrorCode, detail: str = "", *, spread: int | None = None
    ) -> None:
        """End a subscription; unless the right is gone, it may come back."""
        if code is not ErrorCode.DENIED:
            self.stopped.add(session, grant, now=self._clock())
        renew = self._judge.renew_id if code is ErrorCode.TOKEN_EXPIRED else None
        session.end_subscription(grant.channel, code, detail, renew=renew, spread=spread)
        self._counts.stopped[code] += 1

    def _concerned(self, message: ControlMessage) -> list[Session]:
        """Return the sessions that a message may concern."""
        if message.users:
            return self.users.sessions(message.namespace, message.users)
        if message.channel is not None:
            return self._hub.sessions(f"{message.namespace}:{message.channel}")
        return list(self._hub)

    def _enforce(self, sessions: Sequence[Session]) -> None:
        """Stop what is no longer good: at once, or, of very many, in a few turns of the loop."""
        spread = self._hub.spread_of(len(sessions))
        self._look_at(sessions[:SESSIONS_PER_TURN], spread)
        if len(sessions) > SESSIONS_PER_TURN:
            self._background.start(self._look_slowly_at(sessions[SESSIONS_PER_TURN:], spread))

    async def _look_slowly_at(self, sessions: Sequence[Session], spread: int) -> None:
        for start in range(0, len(sessions), SESSIONS_PER_TURN):
            await asyncio.sleep(0)
            self._look_at(sessions[start : start + SESSIONS_PER_TURN], spread)

    def _look_at(self, sessions: Iterable[Session], spread: int) -> None:
        for session in sessions:
            verdicts = {grant: self._judge.verdict(grant) for grant in session.grants.values()}
            if Verdict.ENDED in verdicts.values():
                session.disconnect(DisconnectCode.LOGIN_ENDED)
            else:
                for grant, verdict in verdicts.items():
                    if verdict is not Verdict.FINE:
                        self.stop(session, grant, ErrorCode.REAUTHORIZE, spread=spread)
            self._drive(session)
