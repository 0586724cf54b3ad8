"""The broker of tests: remembers what it is given, and sends it nowhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from django_jugpush.core.publication import Publication

from .base import Broker, BrokerConfig
from .local import LocalFeed

__all__ = ["DummyBroker"]


class DummyBroker(Broker):
    """Records publications."""

    MAX_PUBLICATIONS = 1000

    def __init__(self) -> None:
        # Bounded: a test suite may publish for an hour with nobody looking.
        self.publications: deque[Publication] = deque(maxlen=self.MAX_PUBLICATIONS)
        """The newest publications, oldest first."""

    @classmethod
    def from_config(cls, config: BrokerConfig) -> DummyBroker:
        return cls()

    @classmethod
    def make_feed(cls, config: BrokerConfig) -> LocalFeed:
        """Return a feed that hears what is posted to its server: nothing, unless a test does so."""
        return LocalFeed(history=config.HISTORY)

    def publish(self, publications: Sequence[Publication]) -> None:
        """Remember ``publications``."""
        self.publications.extend(publications)
