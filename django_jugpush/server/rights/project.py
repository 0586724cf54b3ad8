"""
Rights as a project has them: a push server's part of what happens to logins and rights.

It follows the channel on which Django processes tell of them, stops at once whoever is concerned, renews what is about
to expire, and has the project asked where a token cannot tell. What a page's client makes of it stands in
``docs/reference/protocol.rst``.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Feed
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.hub import Hub
from django_jugpush.core.publication import Publication
from django_jugpush.core.revocation import Verdict
from django_jugpush.core.session import Session
from django_jugpush.server.counts import Counts
from django_jugpush.server.types import Drive

from .authority import Authority
from .background import Background
from .base import Rights, RightsUnknown
from .enforcing import Enforcer
from .following import ControlFollower
from .judging import Judge
from .questions import Questions
from .renewing import Renewer

__all__ = ["ProjectRights"]

logger = logging.getLogger(__name__)

REVALIDATE = 30.0
"""Seconds between two looks at the users who are connected."""

PRUNE = 60.0


class ProjectRights(Rights):
    """
    Revocation and renewal for the sessions of one push server.

    Args:
        authority: The project's side.
        feed: Brings the control channel.
        hub: Knows who listens.
        counts: Takes notes for operators.
        drive: Does what follows for a session from what it was told.
        hears_from: Seconds since 1970, from when on nothing of the control channel can have been missed although its
            stream does not say so; None if only the stream can tell.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        authority: Authority,
        feed: Feed,
        hub: Hub,
        counts: Counts,
        drive: Drive,
        *,
        hears_from: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authority = authority
        self._counts = counts
        self._drive = drive
        self._clock = clock
        self._background = Background()
        self._questions = Questions()
        self._judge = Judge(hub)
        self._enforcer = Enforcer(self._judge, hub, counts, drive=drive, background=self._background, clock=clock)
        self._renewer = Renewer(authority, self.ask, self._enforcer, counts, clock=clock)
        self._follower = ControlFollower(
            feed, authority.control_channel, self._judge, take=self.take, hears_from=hears_from, clock=clock
        )
        self._sweep_at = self._prune_at = 0.0

    @property
    def is_blind(self) -> bool:
        return self._judge.is_blind

    @property
    def waiting(self) -> int:
        return len(self._questions)

    # Life

    async def start(self) -> None:
        now = self._clock()
        self._sweep_at, self._prune_at = now + REVALIDATE, now + PRUNE
        await self._follower.start()

    async def stop(self) -> None:
        self._follower.stop()
        self._background.stop()
        self._questions.stop()

    def tick(self) -> None:
        now = self._clock()
        if self._follower.loses_sight(now):
            self._enforcer.look_at_all()
        if now >= self._prune_at:
            self._prune_at = now + PRUNE
            self._judge.revocations.prune(now)
            self._enforcer.stopped.prune(now)
        if now >= self._sweep_at:
            self._sweep_at = now + REVALIDATE
            self._background.start(self._sweep())

    def tick_session(self, session: Session) -> None:
        for grant in session.grants_to_renew(self._clock()):
            self._background.start(self._renew(session, grant))

    async def _renew(self, session: Session, grant: Grant) -> None:
        await self._renewer.renew(session, grant)
        self._drive(session)

    async def _sweep(self) -> None:
        """Look whether something has happened to the users who are connected of which Django has not told."""
        if not (connected := self._enforcer.users.fingerprints()):
            return
        try:
            messages = await self._questions.ask(self._authority.find_changed, connected)
        except Exception as error:
            logger.warning("The users who are connected cannot be looked after: %r", error)
            return
        for message in messages:
            self._enforcer.obey(message)

    # What is told

    def take(self, publications: Sequence[Publication]) -> Sequence[Publication]:
        channel = self._authority.control_channel
        if all(publication.full_name != channel for publication in publications):
            return publications
        for publication in publications:
            if publication.full_name == channel:
                self._receive(publication)
        return [publication for publication in publications if publication.full_name != channel]

    def _receive(self, publication: Publication) -> None:
        if publication.stale:
            logger.warning("Messages about logins and rights were missed; everybody is asked again.")
            self._judge.revocations.forget_before(self._clock())
            self._enforcer.look_at_all()
        elif message := self._authority.open_control(publication):
            position = publication.position
            self._enforcer.obey(message, published=position.ms / 1000 if position else 0.0)
        else:
            self._counts.control["dropped"] += 1

    def subscribed(self, session: Session, grant: Grant) -> None:
        self._enforcer.stopped.remove(session, grant.channel)
        self._enforcer.users.add(session, grant)

    def ended(self, session: Session) -> None:
        self._enforcer.stopped.forget(session)
        self._enforcer.users.remove(session)

    # What a subscription rests on

    def checked(self, answer: Grant | Question) -> Grant | Question:
        return self._judge.checked(answer)

    async def ask(self, question: Question) -> Grant:
        ask = functools.partial(self._authority.ask, question, after=self._judge.revocations.newest)
        asker = question.grant
        about = None if asker.user is None else (asker.namespace, asker.user)
        grant = await self._questions.ask(ask, about=about)
        answer = self.checked(grant)  # while the project thought about it, something may have happened
        if isinstance(answer, Question):
            raise RightsUnknown
        return answer

    def is_good(self, grant: Grant) -> bool:
        return self._judge.verdict(grant) is Verdict.FINE

    def with_past(self, session: Session, grant: Grant) -> Grant:
        return self._enforcer.stopped.with_past(session, grant, now=self._clock())

    def resume_token(self, grant: Grant) -> str | None:
        return None if grant.is_public else self._authority.resume_token(grant)

    def renew_id(self) -> str | None:
        return self._judge.renew_id
