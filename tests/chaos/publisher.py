"""One publisher, who knows what it published, to whom, and what of it is sure to have been taken."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import msgspec

from django_jugpush.brokers.base import Broker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError
from tests.e2e.site import wait_until

from .channels import CHANNELS, kind_of

__all__ = ["Publisher"]

BATCH = 3
"""Publications of a channel in one go at most."""


class Past:
    """What was published to a channel, by number."""

    def __init__(self) -> None:
        self.number = 0
        """Of the newest that was handed over, be it taken or not."""
        self.certain: set[int] = set()
        self.uncertain: set[int] = set()
        """What got no answer may have been published or not."""
        self.excluded: dict[int, frozenset[str]] = {}
        self.newest = 0
        """The newest that the broker has for certain."""
        self.losses = 0
        """How often the broker has lost what it had."""

    def of(self, client: str) -> tuple[set[int], set[int], set[int]]:
        """Return what a client must, may and must not get."""
        excluded = {number for number, clients in self.excluded.items() if client in clients}
        return self.certain - excluded, self.uncertain - excluded, excluded


class Publisher:
    """Numbers the publications of each channel; now and then there are several at once, or some exclude clients."""

    def __init__(self, broker: Broker, *, rate: float, clients: Sequence[str]) -> None:
        self.pasts = {channel: Past() for channel in CHANNELS}
        self._broker = broker
        self._clients = clients
        self._pause = 1 / rate
        self._chance = random.Random(0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish_for_ever)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(20)

    def close(self) -> None:
        self._broker.close()

    def forget(self) -> None:
        """Take note that the broker has lost what it had, and does not have anything else yet."""
        for past in self.pasts.values():
            past.losses += 1
            past.newest = 0

    def publish(self, channel: str, *, exclude: Sequence[frozenset[str]] = (frozenset(),)) -> bool:
        """Publish a number for each set of clients to exclude; return whether they were taken for certain."""
        past = self.pasts[channel]
        losses = past.losses
        numbers = range(past.number + 1, past.number + 1 + len(exclude))
        past.excluded.update(zip(numbers, exclude, strict=True))
        past.number = numbers[-1]
        batch = [_publication(channel, number, past.excluded[number]) for number in numbers]
        try:
            self._broker.publish(batch)
        except BrokerError:
            past.uncertain.update(numbers)
            return False
        past.certain.update(numbers)
        if losses == past.losses:
            past.newest = numbers[-1]
        return True

    def publish_until_taken(self, channel: str) -> None:
        wait_until(lambda: self.publish(channel), what=lambda: f"{channel} to take a publication")

    def _publish_for_ever(self) -> None:
        while not self._stopping.wait(self._pause):
            channel = self._chance.choice(CHANNELS)
            length = self._chance.choice([1, 1, 1, 1, 1, BATCH])
            excludes = kind_of(channel).excludes and self._chance.random() < 0.2
            exclude = frozenset(self._chance.sample(self._clients, len(self._clients) // 4) if excludes else ())
            self.publish(channel, exclude=[exclude] * length)


def _publication(channel: str, number: int, exclude: frozenset[str]) -> Publication:
    kind = kind_of(channel)
    return Publication(
        id=f"{channel}-{number}",
        channel=channel,
        namespace="chaos",
        data=msgspec.Raw(b'[%d,"%s"]' % (number, b"." * kind.padding)),
        exclude=tuple(exclude),
        history=kind.history,
        last=kind.last,
        max_rate=kind.max_rate,
    )
