"""The time that passes for sessions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from django_jugpush.core.hub import MIN_SPREAD, Hub

from .rights.base import Rights
from .types import Drive

__all__ = ["SESSIONS_PER_TURN", "TICKS_PER_PING", "Heartbeats"]

logger = logging.getLogger(__name__)

TICKS_PER_PING = 25
"""How often heartbeats are looked after; so many parts of the interval one may be late."""

SESSIONS_PER_TURN = 500
"""How many sessions are looked after in one turn of the event loop."""


class Heartbeats:
    """
    Looks after all sessions, again and again: whether their clients are still there, and what they must renew.

    Args:
        hub: Knows the sessions.
        rights: Renews.
        drive: Does what follows for a session.
        ping_interval: Seconds between heartbeats.
        clock: Seconds since any moment.
    """

    def __init__(
        self, hub: Hub, rights: Rights, *, drive: Drive, ping_interval: float, clock: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._rights = rights
        self._drive = drive
        self._pause = ping_interval / TICKS_PER_PING
        self._clock = clock
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._ticking = asyncio.create_task(self._tick_for_ever(), name="jugpush-heartbeats")

    async def stop(self) -> None:
        """End."""
        assert self._ticking is not None
        self._ticking.cancel()
        await asyncio.wait([self._ticking])
        self._ticking = None

    async def tick(self) -> None:
        """Look after everybody once."""
        self._rights.tick()
        spread = self._hub.gap_spread()
        for number, session in enumerate(self._hub, start=1):
            if session.tick(self._clock(), spread=spread if spread >= MIN_SPREAD else None):
                self._drive(session)
            self._rights.tick_session(session)
            if number % SESSIONS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self.tick()
            except Exception:
                logger.exception("Heartbeats failed.")
