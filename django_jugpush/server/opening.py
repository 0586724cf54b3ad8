"""
Subscriptions on their way: what is published to their channel must be heard, then its stream is read.

A client that comes back asks for all its channels at once, and each answer may be as long as a page of publications.
So only a few of a client's subscriptions are on their way at a time, and none while much waits for it to be taken: a
slow link gets one page after the other, and not more than its connection can hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from django_jugpush.brokers.base import Feed
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.history import Replay
from django_jugpush.core.hub import Hub
from django_jugpush.core.positions import Position
from django_jugpush.core.session import Session
from django_jugpush.exceptions import BrokerUnavailable

from .life import NOT_HEARD

__all__ = ["OPENING_TIMEOUT", "Obstacle", "Opening"]

logger = logging.getLogger(__name__)

OPENING_TIMEOUT = 5.0
"""Seconds that the broker has for each of the two, before a client is told to ask again."""

TURN_TIMEOUT = 30.0
"""Seconds that may pass until it is a subscription's turn to read."""

MAX_READING = 16
"""How many streams are read at the same time: when everybody comes back at once, news must still get through."""


class Obstacle(NamedTuple):
    """Why a channel is not opened, as its client is told."""

    code: ErrorCode
    detail: str


NO_ROOM = Obstacle(ErrorCode.LIMIT_EXCEEDED, "the server has as many channels as MAX_CHANNELS allows")

NO_ANSWER = Obstacle(ErrorCode.INTERNAL, NOT_HEARD)
"""The broker does not hear or read it in time."""

Then = Callable[[Replay | Obstacle], bool]
"""Takes what came after a position, or why that cannot be said; returns whether to go on listening."""


class _Job(NamedTuple):
    request: int
    channel: str
    since: Position | None
    then: Then


class Opening:
    """
    One task for each subscription that has been granted, from its turn until it can be answered.

    Args:
        feed: Hears and reads.
        hub: Keeps what is published meanwhile, and knows for whom much waits.
        at_once: How many of one session's may be on their way.
        max_channels: Channels that all sessions together may listen to, those included that are on their way.
        timeout: In the place of :data:`OPENING_TIMEOUT`.
    """

    def __init__(
        self, feed: Feed, hub: Hub, *, at_once: int, max_channels: int, timeout: float = OPENING_TIMEOUT
    ) -> None:
        self._feed = feed
        self._hub = hub
        self._at_once = at_once
        self._max_channels = max_channels
        self._timeout = timeout
        self._reading = asyncio.Semaphore(MAX_READING)
        self._tasks: dict[Session, dict[int, tuple[asyncio.Task[None], str]]] = {}
        self._queues: dict[Session, deque[_Job]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values())) + sum(map(len, self._queues.values()))

    def add(self, session: Session, request: int, channel: str, *, since: Position | None, then: Then) -> None:
        """
        Open a channel for a session when it is this one's turn, and call ``then`` with what came after ``since``.

        What is published from that turn on is kept at the hub, until the session is subscribed, or ``then`` says no.
        """
        self._queues.setdefault(session, deque()).append(_Job(request, channel, since, then))
        self.advance(session)

    def advance(self, session: Session) -> None:
        """Go on with a session's subscriptions, as far as there is room."""
        queue = self._queues.get(session)
        while queue and len(self._tasks.get(session, ())) < self._at_once and not self._is_busy(session):
            self._start(session, queue.popleft())
        if not queue:
            self._queues.pop(session, None)

    def cancel(self, session: Session, request: int | None = None) -> None:
        """Call back for this request no more, without one for none of the session's; keep nothing more for it."""
        if queue := self._queues.pop(session, None):
            left = deque(job for job in queue if request not in (None, job.request))
            if left:
                self._queues[session] = left
        for number, (task, channel) in self._tasks.get(session, {}).items():
            if request in (None, number):
                task.cancel()
                self._hub.unsubscribe(session, channel)

    def _is_busy(self, session: Session) -> bool:
        return session in self._hub and self._hub.connection(session).is_busy

    def _start(self, session: Session, job: _Job) -> None:
        task = asyncio.create_task(self._open(session, job))
        self._tasks.setdefault(session, {})[job.request] = task, job.channel
        task.add_done_callback(lambda _: self._remove(session, job.request))

    def _remove(self, session: Session, request: int) -> None:
        tasks = self._tasks[session]
        del tasks[request]
        if not tasks:
            del self._tasks[session]
        self.advance(session)

    async def _open(self, session: Session, job: _Job) -> None:
        if not job.then(await self._replay(session, job)):
            self._hub.unsubscribe(session, job.channel)

    async def _replay(self, session: Session, job: _Job) -> Replay | Obstacle:
        # Not when the client asked: others have taken what room there was, while it waited for its turn.
        if not self._hub.has_room_for(job.channel, self._max_channels):
            return NO_ROOM
        self._hub.reserve(session, job.channel)
        return await self._read(job)

    async def _read(self, job: _Job) -> Replay | Obstacle:
        try:
            if not self._feed.is_ready(job.channel):
                async with asyncio.timeout(self._timeout):
                    await self._feed.ready(job.channel)
            # Only then: what is published between the two is heard, or read, or both.
            async with asyncio.timeout(TURN_TIMEOUT), self._reading, asyncio.timeout(self._timeout):
                return await self._feed.read(job.channel, job.since)
        except (TimeoutError, BrokerUnavailable):
            pass
        except Exception:
            logger.exception("The feed failed.")
        return NO_ANSWER
