"""
The push server: sessions, hub and feed wired together, behind an ASGI application.

It knows nothing of Django. Who may listen, which origins may connect and how publications come in are callables that
it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import msgspec

from django_jugpush.brokers.base import Feed
from django_jugpush.core.codec import encode
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.commands import Error
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.history import PAGE_BYTES, Replay
from django_jugpush.core.hub import MIN_SPREAD, REFRESH_RATE, Connection, Hub
from django_jugpush.core.pacing import Pacing
from django_jugpush.core.publication import Publication
from django_jugpush.core.recovery import for_client
from django_jugpush.core.session import (
    Event,
    EventReceived,
    Session,
    SessionEnded,
    SubscribeRequested,
    SubscribeWithdrawn,
    SubscriptionEnded,
    SubscriptionStarted,
    is_client_id,
)
from django_jugpush.exceptions import IdentityMismatch, InvalidChannel, SubscriptionDenied, TokenExpired

from .asgi import dispatch
from .counts import Counts
from .guard import Guard
from .notices import Notices, Taker
from .opening import Opening
from .questions import TooManyQuestions
from .refusals import RefusalLog
from .rights import Authority, RenderAgain, Rights, RightsUnknown
from .shares import Shares
from .turns import Turns
from .types import ASGIApplication, Authorize, Claim, OriginAllowed, Receive, Scope, Send

__all__ = ["PushServer", "ServerConfig"]

logger = logging.getLogger(__name__)

TICKS_PER_PING = 25
"""How often heartbeats are looked after; so many parts of the interval one may be late."""

RETURN_RATE = 1000
"""How many of the clients that a stopping server sends away should come back per second."""

NOT_HEARD = "the broker cannot be heard"

TOO_MANY_CHANNELS = "the server has as many channels as MAX_CHANNELS allows"

SESSIONS_PER_TURN = 500
"""How many sessions are looked after in one turn of the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What can be chosen. The defaults are those of ``JUGPUSH``."""

    path: str = "/juggernaut/"
    """Where the server is mounted. Its addresses are answered with this prefix and without."""

    max_message_size: int = 65_536
    """Bytes of one message from a client; with a longer one uvicorn ends the connection by WebSocket's code 1009."""

    max_subscriptions: int = 100
    """Channels of one connection."""

    max_channels: int = 100_000
    """Channels that all connections together may be subscribed to."""

    max_connections: int | None = None
    """Connections in all; None: as many as there may be open files, less some for the rest."""

    max_connections_per_address: int | None = 1000
    """Connections of one address; None: any number."""

    max_connections_per_user: int | None = 100
    """Connections of one signed-in user; None: any number."""

    max_pending: int = 1_048_576
    """Bytes that may wait for a client that reads slowly."""

    ping_interval: float = 25.0
    """Seconds between heartbeats."""

    refresh_rate: int = REFRESH_RATE
    """How many clients should ask the site again per second, when all of them have a reason to."""

    explain: bool = False
    """Whether clients are told details of a refusal: in development only."""

    public_events: bool = False
    """Whether clients may send events that have no subscription but public ones."""


class PushServer:
    """
    One process's connections, and the ASGI 3 application in front of them.

    It starts with its first connection, or by :meth:`start`, and belongs to the event loop on which that happens.
    Before the HTTP server stops, :meth:`drain` sends the clients away in good order; then comes :meth:`stop`.

    A door calls :meth:`connect`, :meth:`receive`, and :meth:`connection_lost`; answers and publications come back
    through the :class:`~django_jugpush.core.hub.Connection` that it gave.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        authorize: Authorize,
        origin_allowed: OriginAllowed,
        feed: Feed,
        authority: Authority | None = None,
        publish_endpoint: ASGIApplication | None = None,
        claim: Claim | None = None,
        takers: Sequence[Taker] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.publish_endpoint = publish_endpoint
        self.hub = Hub(feed, refresh_rate=config.refresh_rate)
        self.counts = Counts()
        self.guard = Guard(
            max_connections=config.max_connections, max_per_address=config.max_connections_per_address, clock=clock
        )
        self.turns = Turns()
        self.is_draining = False
        self._authorize = authorize
        self._origin_allowed = origin_allowed
        self._feed = feed
        self._claim = claim
        self._opening = Opening(
            feed,
            at_once=max(1, config.max_pending // (2 * PAGE_BYTES)),
            is_busy=lambda session: session in self.hub and self.hub.connection(session).is_busy,
            failed=self._fail,
        )
        self._pacing = Pacing()
        self._pacing_timer: asyncio.TimerHandle | None = None
        self._pacing_due = 0.0
        self._notices = Notices(takers)
        # What cannot be posted is posted again, so it comes as soon as this server can be reached.
        hears_from = time.time() if publish_endpoint else None
        self.rights = (
            Rights(authority, feed, self.hub, self.counts, self._process, hears_from=hears_from) if authority else None
        )
        self._asking: dict[Session, dict[int, asyncio.Task[None]]] = {}
        self._shares = Shares(config.max_connections_per_user)
        self._clock = clock
        self._refusals = RefusalLog(logger, clock)
        self._starting = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None
        self._sessions: dict[Connection, Session] = {}
        self._all_closed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await dispatch(self, scope, receive, send)

    @property
    def connections(self) -> int:
        """How many connections are open, those included that are being closed."""
        return len(self._sessions)

    @property
    def is_started(self) -> bool:
        """Whether publications are heard, as far as that depends on this process."""
        return self._ticking is not None

    @property
    def is_connected(self) -> bool:
        """Whether publications are heard."""
        return self.is_started and self._feed.is_connected

    @property
    def obstacle(self) -> str:
        """Why clients should not be sent here; empty if they may come."""
        if self.is_draining:
            return "it is shutting down"
        if not self.is_started:
            return "another process is the push server" if self._claim else "it has not started"
        return "" if self._feed.is_connected else NOT_HEARD

    # Life

    async def start(self) -> None:
        """Begin to hear publications, unless that has happened, or another process has the claim to do so."""
        async with self._starting:
            if self._ticking is None and (self._claim is None or await self._claim.take()):
                await self._notices.start()
                await self._feed.start(self.deliver)
                if self.rights:
                    await self.rights.start()
                self._ticking = asyncio.create_task(self._tick_for_ever(), name="jugpush-heartbeats")

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - says what happens, not only that it is late
        """Tell all clients to come back later, and wait until their connections are closed, or ``timeout`` is over."""
        self.is_draining = True
        spread = len(self._sessions) * 1000 // RETURN_RATE
        for number, connection in enumerate(tuple(self._sessions), start=1):
            self.disconnect(connection, DisconnectCode.SHUTDOWN, spread=spread)
            if number % SESSIONS_PER_TURN == 0:
                await asyncio.sleep(0)
        if self._sessions:
            self._all_closed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_closed.wait(), timeout)

    async def stop(self) -> None:
        """Stop hearing publications. Clients that are still here are sent away first."""
        await self.drain()
        async with self._starting:
            if self._ticking is not None:
                self._ticking.cancel()
                await asyncio.wait([self._ticking])
                self._ticking = None
                if self.rights:
                    await self.rights.stop()
                await self._feed.stop()
                await self._notices.stop()
                if self._pacing_timer:
                    self._pacing_timer.cancel()
                    self._pacing_timer = None
                if self._claim:
                    await self._claim.give_up()

    # What doors tell

    async def connect(self, connection: Connection, scope: Scope) -> None:
        """
        Begin a session for a client whose request is ``scope``, and greet or refuse it.

        Refused clients get a session as well: only a word that arrives tells a browser not to try again.
        """
        if not self.is_draining:
            await self.start()
        query = _query(scope)
        client = query.get("client", "")
        session = Session(
            client=client if is_client_id(client) else secrets.token_urlsafe(16),
            max_message_size=self.config.max_message_size,
            max_subscriptions=self.config.max_subscriptions,
            ping_interval=self.config.ping_interval,
            explain=self.config.explain,
            public_events=self.config.public_events,
        )
        self._sessions[connection] = session
        self.hub.join(session, connection)
        if self.is_draining:
            session.disconnect(DisconnectCode.SHUTDOWN)  # without a spread, or it would come back here at once
        elif not self.is_started:
            session.disconnect(DisconnectCode.NOT_THE_SERVER)
        elif not self._is_origin_allowed(scope):
            session.disconnect(DisconnectCode.ORIGIN_DENIED)
        else:
            session.connect(query.get("protocol", ""), now=self._clock())
        if session.code is not None:
            self.counts.refused[session.code] += 1
        self._process(session)

    def receive(self, connection: Connection, data: bytes | str) -> None:
        """Take what a client sent."""
        session = self._sessions[connection]
        self.counts.commands[session.receive_data(data, now=self._clock())] += 1
        self._process(session)

    def disconnect(self, connection: Connection, code: DisconnectCode, *, spread: int | None = None) -> None:
        """Send a client away; it comes back within ``spread`` milliseconds."""
        if session := self._sessions.get(connection):
            session.disconnect(code, spread=spread)
            self._process(session)

    def drained(self, connection: Connection) -> None:
        """Take note that a client has taken most of what was queued for it."""
        if session := self._sessions.get(connection):
            self._opening.advance(session)

    def connection_lost(self, connection: Connection) -> None:
        """Take note that a connection is no more, whoever closed it."""
        if session := self._sessions.pop(connection, None):
            session.connection_lost()
            self._process(session)
        if not self._sessions:
            self._all_closed.set()

    # What the feed tells

    def deliver(self, publications: Sequence[Publication]) -> None:
        """Fan publications out, but not faster than their channel allows."""
        if self.rights:
            publications = self.rights.take(publications)
        self.counts.received += len(publications)
        now = self._clock()
        for publication in publications:
            self._publish(self._pacing.offer(publication, now=now))
        self._await_pacing(now)

    def _publish(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            try:
                self.counts.delivered += self.hub.publish(publication)
            except (UnicodeError, msgspec.MsgspecError) as error:
                _log_broken(publication, error)

    def _await_pacing(self, now: float) -> None:
        due = self._pacing.due
        if due is None or (self._pacing_timer and self._pacing_due <= due):
            return
        if self._pacing_timer:
            self._pacing_timer.cancel()
        self._pacing_due = due  # of the timer itself uvloop does not always know when it is
        self._pacing_timer = asyncio.get_running_loop().call_later(max(0, due - now), self._tick_pacing)

    def _tick_pacing(self) -> None:
        self._pacing_timer = None
        now = self._clock()
        self._publish(self._pacing.tick(now))
        self._await_pacing(now)

    # Helpers

    def _process(self, session: Session) -> None:
        """Do what follows for a session from what it was told."""
        if session not in self.hub:
            return
        connection = self.hub.connection(session)
        while True:
            # First, so that a client knows of its subscription when the publications come that were kept for it.
            for reply in session.data_to_send():
                if isinstance(reply, Error):
                    self.counts.errors[reply.code] += 1
                connection.send(connection.wire(encode(reply)))
            if not (events := session.events_received()):
                break
            for event in events:
                self._handle(session, event)
        if session.code is not None:
            connection.close(session.code, session.code.message)

    def _handle(self, session: Session, event: Event) -> None:
        match event:
            case SubscribeRequested():
                self._decide(session, event)
            case SubscribeWithdrawn():
                self._stop_asking(session, event.request)
                for channel in self._opening.cancel(session, event.request):
                    self.hub.unsubscribe(session, channel)
            case SubscriptionStarted() if not self._shares.take(session):
                session.disconnect(DisconnectCode.TOO_MANY_CONNECTIONS)
            case SubscriptionStarted():
                self.hub.subscribe(session, event.grant.full_name, has=event.position)
                if self.rights:
                    self.rights.subscribed(session, event.grant)
                self._notices.subscribed(session, event.grant)
            case SubscriptionEnded():
                self.hub.unsubscribe(session, event.grant.full_name)
                self._notices.unsubscribed(session, event.channel)
            case EventReceived():
                if not self._notices.event(session, event.data):
                    session.refuse_event(event, ErrorCode.LIMIT_EXCEEDED, "the server has too many events to pass on")
            case SessionEnded():
                self.counts.ended[event.code] += 1
                self._stop_asking(session)
                self._opening.cancel(session)
                self._shares.give_back(session)
                self.hub.leave(session)
                if self.rights:
                    self.rights.ended(session)
                self._notices.ended(session)

    def _decide(self, session: Session, event: SubscribeRequested) -> None:
        try:
            answer = self._authorize(event.channel, event.token)
            if self.rights:
                answer = self.rights.checked(answer)
        except Exception as error:
            self._refuse(session, event, error)
        else:
            if isinstance(answer, Question):
                self._ask(session, event, answer)
            else:
                self._open(session, event, answer)

    def _ask(self, session: Session, event: SubscribeRequested, question: Question) -> None:
        """Have the project decide, in a thread of its own."""

        async def ask() -> None:
            try:
                assert self.rights is not None
                grant = await self.rights.ask(question)
            except Exception as error:
                self._refuse(session, event, error)
            else:
                self._open(session, event, grant)
            self._process(session)

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
        renew = self.rights.renew_id() if self.rights and code is ErrorCode.TOKEN_EXPIRED else None
        spread = error.spread if isinstance(error, RenderAgain) else None
        session.refuse(event.request, code, detail, renew=renew, spread=spread)

    def _open(self, session: Session, event: SubscribeRequested, grant: Grant) -> None:
        """Accept a subscription as soon as its channel is heard; what is published meanwhile comes after the answer."""
        if not self.hub.has_room_for(grant.full_name, self.config.max_channels):
            self._refusals.add(ErrorCode.LIMIT_EXCEEDED, event.channel, TOO_MANY_CHANNELS)
            session.refuse(event.request, ErrorCode.LIMIT_EXCEEDED, TOO_MANY_CHANNELS)
            return
        if self.rights:
            grant = self.rights.with_past(session, grant)
        channel = grant.full_name
        if not session.may_recover(self._clock()):
            event = replace(event, since=None)

        def answer(replay: Replay | None) -> None:
            if replay is None:
                self._refusals.add(ErrorCode.INTERNAL, grant.channel, NOT_HEARD)
                session.refuse(event.request, ErrorCode.INTERNAL, NOT_HEARD)
            elif self.rights and not self.rights.is_good(grant):
                session.refuse(event.request, ErrorCode.REAUTHORIZE)
            if replay is None or not self._accept(session, event, grant, replay):
                self.hub.unsubscribe(session, channel)
            self._process(session)

        self._opening.add(
            session,
            event.request,
            channel,
            event.since,
            begin=lambda: self.hub.reserve(session, channel),
            then=answer,
        )

    def _fail(self, session: Session) -> None:
        """Send a client away that could not be answered; it may come back."""
        session.disconnect(DisconnectCode.INTERNAL)
        self._process(session)

    def _accept(self, session: Session, event: SubscribeRequested, grant: Grant, replay: Replay) -> bool:
        replay = for_client(replay, client=session.client, history_from=grant.history_from)
        publications = self._encoded(replay.publications)
        session.charge(sum(map(len, publications)), now=self._clock())
        return session.accept(
            event.request,
            grant,
            recovered=replay.is_complete and event.since is not None,
            publications=publications,
            position=replay.position,
            more=replay.more,
            spread=self.hub.gap_spread(),
            token=self.rights.resume_token(grant) if self.rights and not replay.more else None,
        )

    def _encoded(self, publications: Sequence[Publication]) -> list[bytes]:
        lines = []
        for publication in publications:
            try:
                lines.append(self.hub.encode(publication))
            except (UnicodeError, msgspec.MsgspecError) as error:
                _log_broken(publication, error)
        return lines

    def _is_origin_allowed(self, scope: Scope) -> bool:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin")
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        is_allowed = self._origin_allowed(origin, scheme=scheme, headers=headers)
        if not is_allowed:
            self._refusals.add(DisconnectCode.ORIGIN_DENIED, origin or "")
        return is_allowed

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.config.ping_interval / TICKS_PER_PING)
            try:
                await self._tick()
            except Exception:
                logger.exception("Heartbeats failed.")

    async def _tick(self) -> None:
        if self.rights:
            self.rights.tick()
        spread = self.hub.gap_spread()
        for number, session in enumerate(self.hub, start=1):
            if session.tick(self._clock(), spread=spread if spread >= MIN_SPREAD else None):
                self._process(session)
            if self.rights:
                self.rights.tick_session(session)
            if number % SESSIONS_PER_TURN == 0:
                await asyncio.sleep(0)


def _log_broken(publication: Publication, error: Exception) -> None:
    logger.error("A publication to %r was dropped, for its data is broken: %s", publication.channel, error)


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20))
    except ValueError:
        return {}


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
