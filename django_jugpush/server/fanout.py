"""What the feed tells, on its way to the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Feed
from django_jugpush.core.hub import Hub
from django_jugpush.core.pacing import Pacing
from django_jugpush.core.publication import Publication

from .counts import Counts
from .rights.base import Rights

__all__ = ["FanOut"]


class FanOut:
    """
    Hears publications and fans them out, but not faster than their channels allow.

    Args:
        feed: Brings publications.
        rights: Takes those that tell of rights.
        hub: Hands them to who listens.
        counts: Takes notes for operators.
        clock: Seconds since any moment.
    """

    def __init__(self, feed: Feed, rights: Rights, hub: Hub, *, counts: Counts, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._rights = rights
        self._hub = hub
        self._counts = counts
        self._clock = clock
        self._pacing = Pacing()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def start(self) -> None:
        """Begin to hear."""
        await self._feed.start(self.deliver)

    async def stop(self) -> None:
        """Hear nothing more, and forget what waits for its time."""
        await self._feed.stop()
        self._disarm()

    def deliver(self, publications: Sequence[Publication]) -> None:
        """Take what the feed has heard."""
        publications = self._rights.take(publications)
        self._counts.received += len(publications)
        now = self._clock()
        for publication in publications:
            self._publish(self._pacing.offer(publication, now=now))
        self._arm(now)

    def _publish(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            self._counts.delivered += self._hub.publish(publication)

    def _arm(self, now: float) -> None:
        due = self._pacing.due
        if due is None or (self._timer and self._due <= due):
            return
        self._disarm()
        self._due = due  # of the timer itself uvloop does not always know when it is
        self._timer = asyncio.get_running_loop().call_later(max(0, due - now), self._tick)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        self._publish(self._pacing.tick(now))
        self._arm(now)
