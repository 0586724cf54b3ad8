"""
What a broker promises, to both halves.

A :class:`Broker` is what a Django process publishes through; a :class:`Feed` is what a push server hears. Between
the two:

* **Order.** Publications of one ``publish`` call arrive in the order given; those of two calls of one thread arrive in
  the order of the calls. There is no order between channels.
* **Atomicity.** A batch is handed over in one round trip, but it is no transaction: after an error some of it may have
  been delivered.
* **Delivery.** At most once unless ``supports_history``.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence

from django_jugpush.core.publication import Publication

__all__ = ["Broker", "Deliver", "Feed"]

Deliver = Callable[[Sequence[Publication]], None]
"""Takes what the feed heard, on the push server's event loop."""


class Broker(abc.ABC):
    """The publishing half. Instances are shared between threads."""

    supports_history: bool = False

    @abc.abstractmethod
    def publish(self, publications: Sequence[Publication]) -> None:
        """
        Hand over a batch in one round trip, within about a second.

        Raises:
            BrokerUnavailable: If the broker cannot be reached or does not answer in time.
            BrokerError: If it refuses the batch.
        """

    def close(self) -> None:  # noqa: B027 - most brokers hold nothing
        """Release connections. The broker may be used again afterwards."""


class Feed(abc.ABC):
    """The listening half, owned by one push server and used on its event loop only."""

    is_connected: bool = True
    """Whether what is published at this moment is heard."""

    @abc.abstractmethod
    async def start(self, deliver: Deliver) -> None:
        """Begin to hear; call ``deliver`` with what arrives."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Stop hearing and release connections."""

    @abc.abstractmethod
    def listen(self, channels: Iterable[str]) -> None:
        """Say that these channels have listeners here. Returns at once."""

    @abc.abstractmethod
    def forget(self, channels: Iterable[str]) -> None:
        """Say that these channels have no listeners here any more. Returns at once."""
