"""The channel on which Django processes tell of logins and rights: all of its past, and whether it is heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Feed
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.revocation import KEPT
from django_jugpush.exceptions import BrokerUnavailable

from .judging import Judge

__all__ = ["BLIND_AFTER", "CATCH_UP_TIMEOUT", "PRECISION", "ControlFollower"]

logger = logging.getLogger(__name__)

BLIND_AFTER = 10.0
"""Seconds without the control channel after which nobody gets what a token has granted."""

CATCH_UP_TIMEOUT = 2.0
"""Seconds that a server that starts waits for it, before it lets clients come."""

PRECISION = 0.01
"""Seconds within which it is found out since when the control channel's stream is whole."""


class ControlFollower:
    """
    Makes the judge see, as long as the control channel is heard.

    Args:
        feed: Brings the channel.
        channel: Its full name.
        judge: Sees by it.
        take: Takes what was published in the past.
        hears_from: Seconds since 1970, from when on nothing can have been missed although the channel's stream does not
            say so; None if only the stream can tell.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        feed: Feed,
        channel: str,
        judge: Judge,
        *,
        take: Callable[[Sequence[Publication]], object],
        hears_from: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._channel = channel
        self._judge = judge
        self._take = take
        self._hears_from = hears_from
        self._clock = clock
        self._caught_up = asyncio.Event()
        self._catching_up: asyncio.Task[None] | None = None
        self._lost_at: float | None = None

    async def start(self) -> None:
        """Begin to hear; return when all of the past is known, or soon."""
        self._feed.listen([self._channel])
        self._catching_up = asyncio.create_task(self._catch_up())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._caught_up.wait(), CATCH_UP_TIMEOUT)

    def stop(self) -> None:
        """Try no more to know the past."""
        if self._catching_up:
            self._catching_up.cancel()

    def loses_sight(self, now: float) -> bool:
        """Look whether the channel is heard; return whether the judge is blind for want of it since this moment."""
        if not self._caught_up.is_set():
            return False
        if self._is_heard():
            self._lost_at, self._judge.is_blind = None, False
        elif self._lost_at is None:
            self._lost_at = now
        elif not self._judge.is_blind and now - self._lost_at > BLIND_AFTER:
            logger.error("Messages about logins and rights are not heard: what tokens grant is stopped until they are.")
            self._judge.is_blind = True
            return True
        return False

    def _is_heard(self) -> bool:
        is_ready = self._feed.is_ready(self._channel)
        return self._feed.is_connected if is_ready is None else is_ready

    # The past

    async def _catch_up(self) -> None:
        """Read what was told before this server began to hear."""
        while True:
            try:
                await self._feed.ready(self._channel)
                await self._read_past()
            except Exception as error:
                if not isinstance(error, BrokerUnavailable):
                    logger.exception("Messages about logins and rights cannot be read.")
                await asyncio.sleep(random.uniform(0.1, 0.5))
            else:
                break
        self._judge.is_blind = False
        self._caught_up.set()

    async def _read_past(self) -> None:
        now = self._clock()
        begins = await self._find_beginning(now)
        if begins > now - KEPT:
            known_since = begins if self._hears_from is None else min(begins, self._hears_from)
            self._judge.revocations.forget_before(known_since)
        since: Position | None = _moment(begins)
        more = True
        while more:
            replay = await self._feed.read(self._channel, since)
            # What was published after the search began was heard, whatever the stream has of it.
            if not replay.is_complete and begins < now:
                raise BrokerUnavailable("Messages about logins and rights were dropped while they were read.")
            self._take(replay.publications)
            since, more = replay.position, replay.more

    async def _find_beginning(self, now: float) -> float:
        """Return since when the stream is whole, by halving: it may be younger than what it should hold."""
        missing, whole = now - KEPT, now
        if await self._is_whole_since(missing):
            return missing
        while whole - missing > PRECISION:
            middle = (missing + whole) / 2
            if await self._is_whole_since(middle):
                whole = middle
            else:
                missing = middle
        return whole

    async def _is_whole_since(self, at: float) -> bool:
        return (await self._feed.read(self._channel, _moment(at))).is_complete


def _moment(at: float) -> Position:
    return Position.moment(int(at * 1000))
