"""
Who may still listen: a push server's part of what happens to logins and rights.

It follows the channel on which Django processes tell of them, stops at once whoever is concerned, renews what is about
to expire, and has the project asked where a token cannot tell. What a page's client makes of it stands in
``docs/reference/protocol.rst``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from django_jugpush.brokers.base import Feed
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.control import ControlMessage
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.hub import Hub
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.revocation import KEPT, Revocations, Verdict
from django_jugpush.core.session import Session
from django_jugpush.exceptions import BrokerUnavailable, SubscriptionDenied, TokenExpired
from django_jugpush.server.counts import Counts
from django_jugpush.server.questions import Questions
from django_jugpush.server.refusals import RefusalLog

from .authority import Authority
from .base import RenderAgain, Rights, RightsUnknown

__all__ = ["ProjectRights"]

logger = logging.getLogger(__name__)

BLIND_AFTER = 10.0
"""Seconds without the control channel after which nobody gets what a token has granted."""

CATCH_UP_TIMEOUT = 2.0
"""Seconds that a server that starts waits for it, before it lets clients come."""

REVALIDATE = 30.0
"""Seconds between two looks at the users who are connected."""

PRUNE = 60.0

RETRY = (5.0, 15.0)
"""Seconds between which a renewal is tried again that could not be decided."""

REMEMBERED = 120.0
"""Seconds for which a subscription that was stopped can come back without losing what it could read of the past."""

SESSIONS_PER_TURN = 50
"""How many sessions are stopped in one turn of the event loop."""


PRECISION = 0.01
"""Seconds within which it is found out since when the control channel's stream is whole."""


class ProjectRights(Rights):
    """
    Revocation and renewal for the sessions of one push server.

    Args:
        authority: The project's side.
        feed: Brings the control channel.
        hub: Knows who listens.
        counts: Takes notes for operators.
        process: Does what follows for a session from what it was told.
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
        process: Callable[[Session], None],
        *,
        hears_from: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.questions = Questions()
        self.revocations = Revocations()
        self.is_blind = True
        self._authority = authority
        self._feed = feed
        self._hub = hub
        self._counts = counts
        self._process = process
        self._hears_from = hears_from
        self._clock = clock
        self._sessions_of: defaultdict[tuple[str, str], set[Session]] = defaultdict(set)
        self._stopped: dict[Session, dict[str, tuple[Grant, float]]] = {}
        self._refusals = RefusalLog(logger, time.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()
        self._caught_up = asyncio.Event()
        self._lost_at: float | None = None
        self._sweep_at = self._prune_at = 0.0

    # Life

    async def start(self) -> None:
        """Begin to follow the control channel; return when all of it is known, or soon."""
        now = self._clock()
        self._sweep_at, self._prune_at = now + REVALIDATE, now + PRUNE
        self._feed.listen([self._authority.control_channel])
        self._spawn(self._catch_up())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._caught_up.wait(), CATCH_UP_TIMEOUT)

    async def stop(self) -> None:
        """Ask nothing more."""
        for task in self._tasks:
            task.cancel()
        self.questions.stop()

    @property
    def waiting(self) -> int:
        return len(self.questions)

    def tick(self) -> None:
        now = self._clock()
        self._look_whether_blind(now)
        if now >= self._prune_at:
            self._prune_at = now + PRUNE
            self.revocations.prune(now)
            self._forget_stopped(now)
        if now >= self._sweep_at:
            self._sweep_at = now + REVALIDATE
            self._spawn(self._sweep())

    def tick_session(self, session: Session) -> None:
        """Renew what a session has to renew."""
        for grant in session.grants_to_renew(self._clock()):
            self._spawn(self._renew(session, grant))

    # What the feed tells

    def take(self, publications: Sequence[Publication]) -> Sequence[Publication]:
        """Take what is on the control channel; return the rest."""
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
            self.revocations.forget_before(self._clock())
            self._enforce(list(self._hub))
        elif message := self._authority.open_control(publication):
            position = publication.position
            self._obey(message, published=position.ms / 1000 if position else 0.0)
        else:
            self._counts.control["dropped"] += 1

    def _obey(self, message: ControlMessage, *, published: float = 0.0) -> None:
        if not self.revocations.apply(message, now=self._clock(), published=published):
            self._counts.control["dropped"] += 1
            return
        self._counts.control[message.kind] += 1
        concerned = self._concerned(message)
        if message.kind == "disconnect":
            for session in concerned:
                session.disconnect(DisconnectCode.SENT_AWAY)
                self._process(session)
        else:
            self._enforce(concerned)

    def _concerned(self, message: ControlMessage) -> list[Session]:
        """Return the sessions that a message may concern."""
        if message.users:
            return [
                session for user in message.users for session in self._sessions_of.get((message.namespace, user), ())
            ]
        if message.channel is not None:
            return self._hub.sessions(f"{message.namespace}:{message.channel}")
        return list(self._hub)

    # What sessions do

    def subscribed(self, session: Session, grant: Grant) -> None:
        """Take note of a subscription that has started."""
        self._stopped.get(session, {}).pop(grant.channel, None)
        if grant.user is not None:
            self._sessions_of[grant.namespace, grant.user].add(session)

    def ended(self, session: Session) -> None:
        """Take note that a session is no more."""
        self._stopped.pop(session, None)
        key = session.namespace, session.user or ""
        if sessions := self._sessions_of.get(key):
            sessions.discard(session)
            if not sessions:
                del self._sessions_of[key]

    # What a subscription rests on

    def checked(self, answer: Grant | Question) -> Grant | Question:
        """
        Return what a token grants after all that is known; or the question that somebody must answer first.

        Raises:
            RightsUnknown: If nothing is known at the moment.
            SubscriptionDenied: If the login has ended.
            TokenExpired: If the page must be rendered again.
        """
        grant = answer.grant if isinstance(answer, Question) else answer
        if grant.is_public:
            return answer
        if self.is_blind:
            raise RightsUnknown
        match self.revocations.verdict(grant):
            case Verdict.FINE:
                return answer
            case Verdict.ENDED:
                raise SubscriptionDenied("the login has ended")
            case Verdict.RENDER:
                detail = "the login, or the user's password or flags, may have changed since"
                raise RenderAgain(detail, spread=self._spread(grant))
            case Verdict.ASK:
                return answer if isinstance(answer, Question) else Question(grant=grant, reason="reauthorization")

    async def ask(self, question: Question) -> Grant:
        """
        Have a question answered.

        Raises:
            Exception: What :meth:`checked` and the authority raise, or that there is no answer in time.
        """
        ask = functools.partial(self._authority.ask, question, after=self.revocations.newest)
        asker = question.grant
        about = None if asker.user is None else (asker.namespace, asker.user)
        grant = await self.questions.ask(ask, about=about)
        answer = self.checked(grant)  # while the project thought about it, something may have happened
        if isinstance(answer, Question):
            raise RightsUnknown
        return answer

    def is_good(self, grant: Grant) -> bool:
        """Tell whether a subscription may start that was granted a moment ago."""
        return grant.is_public or (not self.is_blind and self.revocations.verdict(grant) is Verdict.FINE)

    def with_past(self, session: Session, grant: Grant) -> Grant:
        """Return the grant with what its session could read of the past when it was stopped a moment ago."""
        before, at = self._stopped.get(session, {}).get(grant.channel, (None, 0.0))
        if before is None or grant.is_public or self._clock() - at > REMEMBERED:
            return grant
        if (before.namespace, before.user, before.login) != (grant.namespace, grant.user, grant.login):
            return grant
        earliest = min(before.history_from or 0.0, grant.history_from or 0.0)
        return replace(grant, history_from=earliest)

    def resume_token(self, grant: Grant) -> str | None:
        """Return what brings a subscription back; None if it is public."""
        return None if grant.is_public else self._authority.resume_token(grant)

    def renew_id(self) -> str | None:
        """Return what a client hands on when it fetches its page again."""
        return self.revocations.newest or None

    def _spread(self, grant: Grant) -> int | None:
        is_unknown = (grant.issued or 0.0) < self.revocations.known_since
        return self._hub.gap_spread() if is_unknown else None

    # Stopping

    def _enforce(self, sessions: Sequence[Session]) -> None:
        """Stop what is no longer good: at once, or, of very many, in a few turns of the loop."""
        spread = self._hub.spread_of(len(sessions))
        self._judge(sessions[:SESSIONS_PER_TURN], spread)
        if len(sessions) > SESSIONS_PER_TURN:
            self._spawn(self._judge_slowly(sessions[SESSIONS_PER_TURN:], spread))

    async def _judge_slowly(self, sessions: Sequence[Session], spread: int) -> None:
        for start in range(0, len(sessions), SESSIONS_PER_TURN):
            await asyncio.sleep(0)
            self._judge(sessions[start : start + SESSIONS_PER_TURN], spread)

    def _judge(self, sessions: Iterable[Session], spread: int) -> None:
        for session in sessions:
            verdicts = {grant: self._verdict(grant) for grant in session.grants.values()}
            if Verdict.ENDED in verdicts.values():
                session.disconnect(DisconnectCode.LOGIN_ENDED)
            else:
                for grant, verdict in verdicts.items():
                    if verdict is not Verdict.FINE:
                        self._stop(session, grant, ErrorCode.REAUTHORIZE, spread=spread)
            self._process(session)

    def _verdict(self, grant: Grant) -> Verdict:
        if self.is_blind and not grant.is_public:
            return Verdict.ASK
        return self.revocations.verdict(grant)

    def _stop(
        self, session: Session, grant: Grant, code: ErrorCode, detail: str = "", *, spread: int | None = None
    ) -> None:
        if code is not ErrorCode.DENIED:
            self._stopped.setdefault(session, {})[grant.channel] = grant, self._clock()
        renew = self.renew_id() if code is ErrorCode.TOKEN_EXPIRED else None
        session.end_subscription(grant.channel, code, detail, renew=renew, spread=spread)
        self._counts.stopped[code] += 1

    def _forget_stopped(self, now: float) -> None:
        for session, stopped in list(self._stopped.items()):
            left = {channel: entry for channel, entry in stopped.items() if now - entry[1] <= REMEMBERED}
            if left:
                self._stopped[session] = left
            else:
                del self._stopped[session]

    # Renewal

    async def _renew(self, session: Session, grant: Grant) -> None:
        try:
            renewed = self._authority.renew_unasked(grant, now=self._clock())
            if renewed is None:
                renewed = await self.ask(Question(grant=grant, reason="renewal"))
        except Exception as error:
            self._renewal_failed(session, grant, error)
        else:
            if session.grants.get(grant.channel) is grant:
                self._counts.renewals["renewed"] += 1
                self._go_on(session, renewed)
        self._process(session)

    def _go_on(self, session: Session, renewed: Grant) -> None:
        if token := self.resume_token(renewed):
            session.renew(renewed, token)
        else:  # the channel has become public
            session.grants[renewed.channel] = renewed

    def _renewal_failed(self, session: Session, grant: Grant, error: Exception) -> None:
        if session.grants.get(grant.channel) is not grant:
            return
        now = self._clock()
        if isinstance(error, TokenExpired):
            self._stop(session, grant, ErrorCode.TOKEN_EXPIRED, str(error))
        elif isinstance(error, SubscriptionDenied):
            self._stop(session, grant, ErrorCode.DENIED, str(error))
        elif now < (grant.expires or 0.0):
            if not isinstance(error, RightsUnknown):
                self._refusals.add(ErrorCode.INTERNAL, grant.channel, f"it cannot be renewed yet: {error!r}")
            self._counts.renewals["put_off"] += 1
            session.put_off(grant, until=min(now + random.uniform(*RETRY), grant.expires or now))
            return
        else:
            self._stop(session, grant, ErrorCode.REAUTHORIZE)
        self._counts.renewals["ended"] += 1

    # Following

    async def _catch_up(self) -> None:
        """Read what was told before this server began to hear."""
        while True:
            try:
                await self._feed.ready(self._authority.control_channel)
                await self._read_past()
            except Exception as error:
                if not isinstance(error, BrokerUnavailable):
                    logger.exception("Messages about logins and rights cannot be read.")
                await asyncio.sleep(random.uniform(0.1, 0.5))
            else:
                break
        self.is_blind = False
        self._caught_up.set()

    async def _read_past(self) -> None:
        now = self._clock()
        begins = await self._find_beginning(now)
        if begins > now - KEPT:
            self.revocations.forget_before(begins if self._hears_from is None else min(begins, self._hears_from))
        since: Position | None = _moment(begins)
        more = True
        while more:
            replay = await self._feed.read(self._authority.control_channel, since)
            self.take(replay.publications)
            since, more = replay.position, replay.more

    async def _find_beginning(self, now: float) -> float:
        """Return since when the stream is whole, by halving: it may be younger than what it should hold."""
        channel, missing, whole = self._authority.control_channel, now - KEPT, now
        if (await self._feed.read(channel, _moment(missing))).is_complete:
            return missing
        while whole - missing > PRECISION:
            middle = (missing + whole) / 2
            if (await self._feed.read(channel, _moment(middle))).is_complete:
                whole = middle
            else:
                missing = middle
        return whole

    def _look_whether_blind(self, now: float) -> None:
        """Nobody hears of a login that ended while nobody tells of it."""
        if not self._caught_up.is_set():
            return
        if self._is_following():
            self._lost_at, self.is_blind = None, False
        elif self._lost_at is None:
            self._lost_at = now
        elif not self.is_blind and now - self._lost_at > BLIND_AFTER:
            logger.error("Messages about logins and rights are not heard: what tokens grant is stopped until they are.")
            self.is_blind = True
            self._enforce(list(self._hub))

    def _is_following(self) -> bool:
        if type(self._feed).is_ready is Feed.is_ready:  # it cannot say so of a single channel
            return self._feed.is_connected
        return self._feed.is_ready(self._authority.control_channel)

    async def _sweep(self) -> None:
        connected: dict[tuple[str, str], set[str | None]] = {}
        for key, sessions in self._sessions_of.items():
            grants = (grant for session in sessions for grant in session.grants.values())
            connected[key] = {grant.fingerprint for grant in grants if grant.user is not None}
        if not connected:
            return
        try:
            messages = await self.questions.ask(self._authority.find_changed, connected)
        except Exception as error:
            logger.warning("The users who are connected cannot be looked after: %r", error)
            return
        for message in messages:
            self._obey(message)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _moment(at: float) -> Position:
    return Position.moment(int(at * 1000))
