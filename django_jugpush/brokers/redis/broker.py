"""What a Django process publishes through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import NoScriptError

from django_jugpush.brokers.base import Broker, BrokerConfig
from django_jugpush.core.history import DEFAULT_HISTORY, make_epoch
from django_jugpush.core.publication import Publication

from .connections import ConnectionBroken, Connections, check
from .feed import RedisFeed
from .names import RedisNames, read_url
from .scripts import PUBLISH, Argument, encode

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
        epoch = make_epoch()
        try:
            self._publish(publications, epoch)
        except ConnectionBroken:
            if time.monotonic() - began > RETRY_WITHIN:
                raise
            # It had died with another Redis, or took with it what this one answered.
            self._publish(publications, epoch, again=True)

    def close(self) -> None:
        self._connections.close()

    def _publish(self, publications: Sequence[Publication], epoch: str, *, again: bool = False) -> None:
        # A batch brings the script along. Were that unknown to the first of them and, because somebody else brought it
        # just then, not to the next, they would change places.
        commands = [
            self._command(one, epoch, again=again, in_full=number == 0 and len(publications) > 1)
            for number, one in enumerate(publications)
        ]
        sent = time.time()
        answers = self._connections.exchange(commands)
        self.skew = self._clock.read(answers[0], sent, time.time())
        if all(type(answer) is bytes for answer in answers):  # positions, as nearly always
            return
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            commands = [self._command(publications[number], epoch, again=again, in_full=True) for number in unknown]
            answers = [answer for answer in answers if not isinstance(answer, NoScriptError)]
            answers += self._connections.exchange(commands)
        check(answers)

    def _command(
        self, publication: Publication, epoch: str, *, again: bool, in_full: bool = False
    ) -> tuple[Argument, ...]:
        """Return what publishes it."""
        names = self.names.of(publication.full_name)
        length, seconds = publication.history or self._history
        return PUBLISH.call(
            (names.meta, names.stream),
            names.channel,
            encode(publication),
            publication.id,
            epoch,
            length,
            round(seconds * 1000),
            1 if publication.last and not publication.stale and bytes(publication.data) != b"null" else 0,
            1 if again else 0,
            in_full=in_full,
        )


class _Clock:
    """How many seconds Redis's is ahead of this process's, by the quickest answer of late."""

    def __init__(self) -> None:
        self._skew = 0.0
        self._took = float("inf")
        self._read_at = 0.0

    def read(self, position: Any, sent: float, received: float) -> float:
        """Take note of the position that was given to something between two moments."""
        took = received - sent
        if isinstance(position, bytes) and (took <= self._took or received - self._read_at > CLOCK_LASTS):
            ms = int(position.rpartition(b"-")[2])
            self._skew = (ms + 0.5) / 1000 - (sent + received) / 2
            self._took, self._read_at = took, received
        return self._skew
