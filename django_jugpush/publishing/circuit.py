"""Spares the requests: a broker that could not be reached is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Broker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable

__all__ = ["PAUSE", "Circuit"]

PAUSE = 5.0
"""Seconds for which nothing is tried."""


class Circuit:
    """Publishes through ``broker``; for a time after it was unavailable, fails at once instead."""

    def __init__(self, broker: Broker, *, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic) -> None:
        self.broker = broker
        self._pause = pause
        self._clock = clock
        self._open_until: float | None = None

    def publish(self, publications: Sequence[Publication]) -> None:
        """
        Hand over a batch, or fail without trying.

        Raises:
            BrokerUnavailable: If the broker is, or was a moment ago.
            BrokerError: If it refuses the batch.
        """
        if self._open_until is not None:
            now = self._clock()
            if now < self._open_until:
                raise BrokerUnavailable(f"not tried: the broker was away {self._pause:g} seconds ago or less")
            self._open_until = now + self._pause  # one thread tries, the others go on failing at once
        try:
            self.broker.publish(publications)
        except BrokerUnavailable:
            self._open_until = self._clock() + self._pause
            raise
        except Exception:
            self._open_until = None
            raise
        self._open_until = None
