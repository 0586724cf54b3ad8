"""When a push server begins to work, and when it ceases to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from django_jugpush.brokers.base import Feed
from django_jugpush.core.codes import DisconnectCode

from .types import Claim

__all__ = ["NOT_HEARD", "Life", "Part"]

NOT_HEARD = "the broker cannot be heard"


class Part(Protocol):
    """A part of the server that works between its start and its stop."""

    async def start(self) -> None:
        """Begin to work. What was started before works already."""

    async def stop(self) -> None:
        """Cease to work, also if the start has failed. What was started later has ceased to."""


class Life:
    """
    Starts the parts of a server in their order, once, and stops them in the reverse; so it does if one cannot start.

    It belongs to the event loop on which it starts.

    Args:
        parts: What is started and stopped.
        feed: Hears publications, for one of the parts.
        claim: Without it, another process works, and this one does not start.
    """

    def __init__(self, parts: Sequence[Part], *, feed: Feed, claim: Claim | None = None) -> None:
        self.is_started = False
        """Whether publications are heard, as far as that depends on this process."""
        self.is_draining = False
        """Whether it will stop soon, so that nobody should come any more."""
        self._parts = parts
        self._feed = feed
        self.claim = claim
        self._changing = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._begun = contextlib.AsyncExitStack()

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
            return "another process is the push server" if self.claim else "it has not started"
        return "" if self._feed.is_connected else NOT_HEARD

    @property
    def refusal(self) -> DisconnectCode | None:
        """Why a client that has come all the same is sent away; None if it may stay, and wait."""
        if self.is_draining:
            return DisconnectCode.SHUTDOWN
        return None if self.is_started else DisconnectCode.NOT_THE_SERVER

    async def start(self) -> None:
        """
        Begin, unless that has happened, or another process has the claim to do so.

        What a part raises is raised to all who wait for it; nothing has begun then, and the next one may try again.
        """
        if self.is_started:
            return
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start(), name="jugpush-start")
        await asyncio.shield(self._starting)  # it is not only for whoever came first, who may go again

    async def stop(self) -> None:
        """Cease, unless that has happened."""
        async with self._changing:
            self.is_started = False
            await self._begun.aclose()

    async def _start(self) -> None:
        async with self._changing, contextlib.AsyncExitStack() as begun:
            if not await self._take_claim(begun):
                return
            for part in self._parts:
                begun.push_async_callback(part.stop)
                await part.start()
            self._begun = begun.pop_all()
            self.is_started = True

    async def _take_claim(self, begun: contextlib.AsyncExitStack) -> bool:
        if self.claim is None:
            return True
        is_ours = await self.claim.take()
        if is_ours:
            begun.push_async_callback(self.claim.give_up)
        return is_ours
