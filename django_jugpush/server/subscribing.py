"""
Subscriptions from what a client asks for to its answer.

Three steps: somebody says whether it may listen, the token at once or the project in its own time; the channel is
opened, which is to hear it and to read what was missed; then the client is told.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from dataclasses import replace

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.events import SubscribeRequested
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.history import Replay
from django_jugpush.core.hub import Hub
from django_jugpush.core.recovery import for_client
from django_jugpush.core.session import Session
from django_jugpush.exceptions import IdentityMismatch, InvalidChannel, SubscriptionDenied, TokenExpired

from .opening import Obstacle, Opening
from .refusals import RefusalLog
from .rights.base import RenderAgain, Rights, RightsUnknown
from .rights.questions import TooManyQuestions
from .types import Authorize, Drive

__all__ = ["Subscribing"]

logger = logging.getLogger(__name__)


class Subscribing:
    """
    Answers the requests of all sessions, each at once or much later.

    Args:
        hub: Knows how publications look on the wire.
        opening: Hears and reads channels.
        rights: Says what a grant is worth, and asks the project.
        authorize: Says what a token grants.
        drive: Does what follows for a session from a late answer.
        clock: Seconds since any moment.
    """

    def __init__(
        self,
        hub: Hub,
        opening: Opening,
        rights: Rights,
        *,
        authorize: Authorize,
        drive: Drive,
        clock: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._opening = opening
        self._rights = rights
        self._authorize = authorize
        self._drive = drive
        self._clock = clock
        self._asking: dict[Session, dict[int, asyncio.Task[None]]] = {}
        self._refusals = RefusalLog(logger, clock)

    def request(self, session: Session, event: SubscribeRequested) -> None:
        """Take a request; from then on it is pending."""
        try:
            answer = self._rights.checked(self._authorize(event.channel, event.token))
        except Exception as error:
            self._refuse(session, event, error)
        else:
            if isinstance(answer, Question):
                self._ask(session, event, answer)
            else:
                self._open(session, event, answer)

    def withdraw(self, session: Session, request: int) -> None:
        """Answer a request no more."""
        self._stop_asking(session, request)
        self._opening.cancel(session, request)

    def end(self, session: Session) -> None:
        """Answer nothing of a session any more."""
        self._stop_asking(session)
        self._opening.cancel(session)

    def advance(self, session: Session) -> None:
        """Open more channels of a session, if they waited until its client had taken what was queued for it."""
        self._opening.advance(session)

    # Whether it may listen

    def _ask(self, session: Session, event: SubscribeRequested, question: Question) -> None:
        """Have the project decide, in a thread of its own."""

        async def ask() -> None:
            try:
                grant = await self._rights.ask(question)
            except Exception as error:
                self._refuse(session, event, error)
            else:
                self._open(session, event, grant)
            self._drive(session)

        task = asyncio.create_task(ask())
        self._asking.setdefault(session, {})[event.request] = task
        task.add_done_callback(lambda _: self._stop_asking(session, event.request))

    def _stop_asking(self, session: Session, request: int | None = None) -> None:
        """Wait for no answer to this request any more; without one, to none of the session's."""
        tasks = self._asking.get(session, {})
        for number in [number for number in tasks if request in (None, number)]:
            tasks.pop(number).cancel()
        if not tasks:
            self._asking.pop(session, None)

    def _refuse(self, session: Session, event: SubscribeRequested, error: Exception) -> None:
        code, detail = _explain(error)
        is_fault = code is ErrorCode.INTERNAL and not detail
        self._refusals.add(code, event.channel, detail, fault=error if is_fault else None)
        renew = self._rights.renew_id() if code is ErrorCode.TOKEN_EXPIRED else None
        spread = error.spread if isinstance(error, RenderAgain) else None
        session.refuse(event.request, code, detail, renew=renew, spread=spread)

    # What it has missed

    def _open(self, session: Session, event: SubscribeRequested, grant: Grant) -> None:
        """Have a channel heard and read; what is published meanwhile comes after the answer."""
        grant = self._rights.with_past(session, grant)
        if not session.may_recover(self._clock()):
            event = replace(event, since=None)
        answer = functools.partial(self._answer, session, event, grant)
        self._opening.add(session, event.request, grant.full_name, since=event.since, then=answer)

    def _answer(self, session: Session, event: SubscribeRequested, grant: Grant, replay: Replay | Obstacle) -> bool:
        """Tell a client, and do what follows; return whether its subscription has started."""
        try:
            has_started = self._settle(session, event, grant, replay)
            self._drive(session)
        except Exception:
            logger.exception("A subscription could not be answered.")
            session.disconnect(DisconnectCode.INTERNAL)  # it may come back
            self._drive(session)
            return False
        return has_started

    def _settle(self, session: Session, event: SubscribeRequested, grant: Grant, replay: Replay | Obstacle) -> bool:
        if isinstance(replay, Obstacle):
            self._refusals.add(replay.code, event.channel, replay.detail)
            session.refuse(event.request, *replay)
        elif not self._rights.is_good(grant):
            session.refuse(event.request, ErrorCode.REAUTHORIZE)
        else:
            return self._accept(session, event, grant, replay)
        return False

    def _accept(self, session: Session, event: SubscribeRequested, grant: Grant, replay: Replay) -> bool:
        replay = for_client(replay, client=session.client, history_from=grant.history_from)
        publications = [line for one in replay.publications if (line := self._hub.encode(one)) is not None]
        session.charge(sum(map(len, publications)), now=self._clock())
        return session.accept(
            event.request,
            grant,
            recovered=replay.is_complete and event.since is not None,
            publications=publications,
            position=replay.position,
            more=replay.more,
            spread=self._hub.gap_spread(),
            token=None if replay.more else self._rights.resume_token(grant),
        )


def _explain(error: Exception) -> tuple[ErrorCode, str]:
    """Turn what the authorization raised into what the client is told; details are for developers only."""
    match error:
        case TokenExpired():
            return ErrorCode.TOKEN_EXPIRED, str(error)
        case IdentityMismatch():
            return ErrorCode.IDENTITY_MISMATCH, str(error)
        case InvalidChannel():
            return ErrorCode.INVALID_CHANNEL, str(error)
        case SubscriptionDenied():
            return ErrorCode.DENIED, str(error)
        case RightsUnknown():
            return ErrorCode.REAUTHORIZE, "what happens to logins and rights is not known at the moment"
        case TooManyQuestions() | TimeoutError():
            return ErrorCode.INTERNAL, "the project does not answer in time"
        case _:
            return ErrorCode.INTERNAL, ""
