"""Spares the requests: a broker that kept one waiting in vain is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django_jugpush.brokers.base import Broker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable

__all__ = ["PAUSE", "Circuit"]

PAUSE = 5.0
"""Seconds for which nothing is tried."""

CHEAP = 0.05
"""Seconds that an attempt in vain may take without consequence: a refused connection costs a request nothing."""


class Circuit:
    """
    Publishes through ``broker``; for a time after it cost somebody a wait in vain, fails at once instead.

    Where an attempt costs nothing, as when a server is being restarted, each batch is tried, and the first after the
    restart gets through.
    """

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
        started = self._clock()
        if self._open_until is not None:
            if started < self._open_until:
                raise BrokerUnavailable(f"not tried: the broker was away {self._pause:g} seconds ago or less")
            self._open_until = started + self._pause  # one thread tries, the others go on failing at once
        try:
            self.broker.publish(publications)
        except BrokerUnavailable:
            now = self._clock()
            self._open_until = now + self._pause if now - started > CHEAP else None
            raise
        except Exception:
            self._open_until = None
            raise
        self._open_until = None
