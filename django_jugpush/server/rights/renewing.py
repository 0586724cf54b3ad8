"""Subscriptions that are about to expire, and go on or do not."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.session import Session
from django_jugpush.exceptions import SubscriptionDenied, TokenExpired
from django_jugpush.server.counts import Counts
from django_jugpush.server.refusals import RefusalLog

from .authority import Authority
from .base import RightsUnknown
from .enforcing import Enforcer

__all__ = ["Renewer"]

logger = logging.getLogger(__name__)

RETRY = (5.0, 15.0)
"""Seconds between which a renewal is tried again that could not be decided."""


class Renewer:
    """
    Renews subscriptions, or stops them.

    Args:
        authority: Renews what needs no question.
        ask: Has the project asked.
        enforcer: Stops what cannot go on.
        counts: Takes notes for operators.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        authority: Authority,
        ask: Callable[[Question], Awaitable[Grant]],
        enforcer: Enforcer,
        counts: Counts,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._authority = authority
        self._ask = ask
        self._enforcer = enforcer
        self._counts = counts
        self._clock = clock
        self._refusals = RefusalLog(logger, time.monotonic)

    async def renew(self, session: Session, grant: Grant) -> None:
        """Let a subscription go on, or stop it, or put that off; afterwards, drive the session."""
        try:
            renewed = self._authority.renew_unasked(grant, now=self._clock())
            if renewed is None:
                renewed = await self._ask(Question(grant=grant, reason="renewal"))
        except Exception as error:
            if _is_running(session, grant):
                self._counts.renewals[self._fail(session, grant, error)] += 1
        else:
            if _is_running(session, grant):
                self._counts.renewals["renewed"] += 1
                self._go_on(session, renewed)

    def _go_on(self, session: Session, renewed: Grant) -> None:
        if renewed.is_public:  # the channel has become so
            session.grants[renewed.channel] = renewed
        else:
            session.renew(renewed, self._authority.resume_token(renewed))

    def _fail(self, session: Session, grant: Grant, error: Exception) -> str:
        """Return what has become of it."""
        now = self._clock()
        match error:
            case TokenExpired():
                self._enforcer.stop(session, grant, ErrorCode.TOKEN_EXPIRED, str(error))
            case SubscriptionDenied():
                self._enforcer.stop(session, grant, ErrorCode.DENIED, str(error))
            case _ if now < (grant.expires or 0.0):
                if not isinstance(error, RightsUnknown):
                    self._refusals.add(ErrorCode.INTERNAL, grant.channel, f"it cannot be renewed yet: {error!r}")
                session.put_off(grant, until=min(now + random.uniform(*RETRY), grant.expires or now))
                return "put_off"
            case _:
                self._enforcer.stop(session, grant, ErrorCode.REAUTHORIZE)
        return "ended"


def _is_running(session: Session, grant: Grant) -> bool:
    """Tell whether a subscription still rests on this grant."""
    return session.grants.get(grant.channel) is grant
