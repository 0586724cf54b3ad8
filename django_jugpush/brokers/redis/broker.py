"""What a Django process publishes through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from redis.exceptions import NoScriptError

from django_jugpush.brokers.base import Broker, BrokerConfig
from django_jugpush.core.history import DEFAULT_HISTORY
from django_jugpush.core.publication import Publication

from .connections import ConnectionBroken, Connections, check
from .feed import RedisFeed
from .names import RedisNames, read_url
from .scripts import Argument
from .slices import Slice, in_slices

__all__ = ["RedisBroker"]

RETRY_WITHIN = 0.3
"""Seconds after its beginning within which a publish is tried again, so that it ends in about one."""

CLOCK_LASTS = 60.0
"""Seconds after which a worse measurement of Redis's clock replaces a better one."""


class RedisBroker(Broker):
    """Publishes through a Redis, one round trip a batch. Shared by threads, each with a connection of its own."""

    def __init__(self, url: str, *, history: tuple[int, float] = DEFAULT_HISTORY) -> None:
        self.names = RedisNames(url)
        self._connections = Connections(url)
        self._history = history
        self._clock = _Clock()

    @classmethod
    def from_config(cls, config: BrokerConfig) -> RedisBroker:
        return cls(config.BROKER or "", history=config.HISTORY)

    @classmethod
    def make_feed(cls, config: BrokerConfig) -> RedisFeed:
        return RedisFeed(
            (config.BROKER or "").removeprefix("juggernaut+"),
            namespace=config.NAMESPACE,
            # What is published there names no tenant.
            firehose=None if config.has_tenants else config.LEGACY_CHANNEL,
            max_size=config.MAX_MESSAGE_SIZE,
        )

    @classmethod
    def problems(cls, config: BrokerConfig) -> Iterator[str]:
        try:
            read_url((config.BROKER or "").removeprefix("juggernaut+"))
        except ValueError as error:
            yield f"After its scheme, {error}."

    def publish(self, publications: Sequence[Publication]) -> None:
        if not publications:
            return
        began = time.monotonic()
        try:
            self._publish(publications)
        except ConnectionBroken:
            if time.monotonic() - began > RETRY_WITHIN:
                raise
            # It had died with another Redis, or took with it what this one answered.
            self._publish(publications, again=True)

    def close(self) -> None:
        self._connections.close()

    def _publish(self, publications: Sequence[Publication], *, again: bool = False) -> None:
        command = partial(Slice.command, names=self.names, history=self._history, again=again)
        slices: list[Slice] = []

        def commands() -> Iterator[Sequence[Argument]]:
            for one, is_followed in in_slices(publications, again=again):
                # The first of several brings the script along. Were that unknown to it and, because somebody else
                # brought it just then, not to the next, they would change places.
                yield command(one, in_full=is_followed and not slices)
                slices.append(one)

        sent = time.time()
        answers = self._connections.exchange(commands())
        self.skew = self._clock.read(answers[0], sent, time.time())
        check([answer for answer in answers if not isinstance(answer, NoScriptError)])
        unknown = [one for one, answer in zip(slices, answers, strict=True) if isinstance(answer, NoScriptError)]
        if unknown:
            check(self._connections.exchange(command(one, in_full=True) for one in unknown))


class _Clock:
    """How many seconds Redis's is ahead of this process's, by the quickest answer of late."""

    def __init__(self) -> None:
        self._skew = 0.0
        self._took = float("inf")
        self._read_at = 0.0

    def read(self, ms: Any, sent: float, received: float) -> float:
        """Take note of what Redis's showed between two moments; of an error nothing."""
        took = received - sent
        if isinstance(ms, int) and (took <= self._took or received - self._read_at > CLOCK_LASTS):
            self._skew = (ms + 0.5) / 1000 - (sent + received) / 2
            self._took, self._read_at = took, received
        return self._skew
