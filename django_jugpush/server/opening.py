"""Subscriptions on their way: what is published to their channel must be heard, then its stream is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from django_jugpush.brokers.base import Feed
from django_jugpush.core.history import Replay
from django_jugpush.core.positions import Position
from django_jugpush.core.session import Session
from django_jugpush.exceptions import BrokerUnavailable

__all__ = ["OPENING_TIMEOUT", "Opening"]

logger = logging.getLogger(__name__)

OPENING_TIMEOUT = 5.0
"""Seconds after which a client is told to ask again."""

MAX_READING = 16
"""How many streams are read at the same time: when everybody comes back at once, news must still get through."""


class Opening:
    """One task for each subscription that has been granted, until it can be answered."""

    def __init__(self, feed: Feed, *, timeout: float = OPENING_TIMEOUT) -> None:
        self._feed = feed
        self._timeout = timeout
        self._reading = asyncio.Semaphore(MAX_READING)
        self._tasks: dict[Session, dict[int, tuple[asyncio.Task[None], str]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values()))

    def add(
        self,
        session: Session,
        request: int,
        channel: str,
        since: Position | None,
        then: Callable[[Replay | None], None],
    ) -> None:
        """Call ``then`` with what came after ``since``; with None if the broker cannot say so in time."""
        task = asyncio.create_task(self._open(channel, since, then))
        self._tasks.setdefault(session, {})[request] = task, channel
        task.add_done_callback(lambda _: self._remove(session, request))

    def cancel(self, session: Session, request: int | None = None) -> list[str]:
        """Call back for this request no more, without one for none of the session's; return their channels."""
        cancelled = [entry for number, entry in self._tasks.get(session, {}).items() if request in (None, number)]
        for task, _ in cancelled:
            task.cancel()
        return [channel for _, channel in cancelled]

    def _remove(self, session: Session, request: int) -> None:
        tasks = self._tasks[session]
        del tasks[request]
        if not tasks:
            del self._tasks[session]

    async def _open(self, channel: str, since: Position | None, then: Callable[[Replay | None], None]) -> None:
        replay = None
        try:
            if not self._feed.is_ready(channel):
                async with asyncio.timeout(self._timeout):
                    await self._feed.ready(channel)
            # Only then: what is published between the two is heard, or read, or both.
            async with self._reading, asyncio.timeout(self._timeout):
                replay = await self._feed.read(channel, since)
        except (TimeoutError, BrokerUnavailable):
            pass
        except Exception:
            logger.exception("The feed failed.")
        then(replay)
