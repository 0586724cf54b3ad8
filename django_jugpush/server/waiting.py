"""Subscriptions that wait until what is published to their channel is heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from django_jugpush.brokers.base import Feed
from django_jugpush.core.session import Session

__all__ = ["READY_TIMEOUT", "Waiting"]

logger = logging.getLogger(__name__)

READY_TIMEOUT = 5.0
"""Seconds after which a client is told to ask again."""


class Waiting:
    """One task for each subscription to a channel that the feed does not hear yet."""

    def __init__(self, feed: Feed, *, timeout: float = READY_TIMEOUT) -> None:
        self._feed = feed
        self._timeout = timeout
        self._tasks: dict[Session, dict[int, tuple[asyncio.Task[None], str]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values()))

    def add(self, session: Session, request: int, channel: str, then: Callable[[bool], None]) -> None:
        """Call ``then`` when the channel is heard, with True; with False if that takes too long."""
        if self._feed.is_ready(channel):
            then(True)
            return
        task = asyncio.create_task(self._wait(channel, then))
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

    async def _wait(self, channel: str, then: Callable[[bool], None]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._feed.ready(channel)
        except TimeoutError:
            is_ready = False
        except Exception:
            logger.exception("The feed failed.")
            is_ready = False
        else:
            is_ready = True
        then(is_ready)
