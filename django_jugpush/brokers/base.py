"""
What a broker promises, to both halves.

A :class:`Broker` is what a Django process publishes through; a :class:`Feed` is what a push server hears. Between
the two:

* **Order.** Publications of one ``publish`` call arrive in the order given; those of two calls of one thread arrive in
  the order of the calls. There is no order between channels.
* **Atomicity.** A batch is handed over in one round trip, but it is no transaction: after an error some of it may have
  been delivered.
* **Positions.** A broker that keeps history gives each publication its position, one writer sequence for each channel,
  and keeps the newest ones: as many and as long as the publication says, else its default.
* **Delivery.** With history, a feed delivers each publication of a channel once and in order, or, at the place of what
  it cannot deliver, a publication that is stale for the reason ``gap``. Without, at most once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from django_jugpush.core.history import Replay
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication

__all__ = ["Broker", "BrokerConfig", "Deliver", "Feed"]

Deliver = Callable[[Sequence[Publication]], None]
"""Takes what the feed heard, on the push server's event loop."""


class BrokerConfig(Protocol):
    """What a broker may ask of the project's configuration."""

    @property
    def BROKER(self) -> str | None: ...

    @property
    def SERVER_URL(self) -> str | None: ...

    @property
    def NAMESPACE(self) -> str: ...

    @property
    def LEGACY_CHANNEL(self) -> str | None: ...

    @property
    def MAX_MESSAGE_SIZE(self) -> int: ...

    @property
    def HISTORY(self) -> tuple[int, float]: ...

    @property
    def has_tenants(self) -> bool: ...


class Broker(abc.ABC):
    """The publishing half. Instances are shared between threads."""

    skew: float = 0.0
    """Seconds by which the broker's clock is ahead of this process's; 0 until that was measured."""

    @classmethod
    def from_config(cls, config: BrokerConfig) -> Broker:
        """Make one for the project; by default by calling the class with the configuration."""
        return cls(config)  # type: ignore[call-arg] # how a project's own class takes it

    @classmethod
    def make_feed(cls, config: BrokerConfig) -> Feed:
        """
        Make what a push server hears this broker's publications by.

        Raises:
            LookupError: If there is nothing; so it is unless a class says otherwise.
        """
        raise LookupError(f"{cls.__qualname__} has no make_feed(), so no push server can hear it")

    @classmethod
    def problems(cls, config: BrokerConfig) -> Iterable[str]:
        """Say what is wrong with the configuration, in sentences for ``manage.py check``. Opens no connection."""
        return ()

    @abc.abstractmethod
    def publish(self, publications: Sequence[Publication]) -> None:
        """
        Hand over a batch in one round trip, within about a second.

        A broker that tries again does so without publishing twice: a publication is known by its ``id``.

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

    @property
    def servers(self) -> int:
        """How many push servers hear this, as far as is known: with this one, at least 1."""
        return 1

    @abc.abstractmethod
    async def start(self, deliver: Deliver) -> None:
        """Begin to hear; call ``deliver`` with what arrives."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Stop hearing and release connections."""

    @abc.abstractmethod
    def listen(self, channels: Iterable[str]) -> None:
        """Say that the channels of these full names have listeners here. Returns at once."""

    @abc.abstractmethod
    def forget(self, channels: Iterable[str]) -> None:
        """Say that they have no listeners here any more. Returns at once."""

    @abc.abstractmethod
    async def ready(self, channel: str) -> None:
        """Return when it is certain that what is published to a channel that has listeners is heard."""

    async def read(self, channel: str, since: Position | None) -> Replay:
        """
        Return what was published to a channel after ``since``; without it, where its stream ends.

        For a channel that is :meth:`ready`: whatever is published after the answer is delivered. A feed without history
        knows no positions, and that something is missing only if ``since`` is one.

        Raises:
            BrokerUnavailable: If the broker cannot be asked.
        """
        return Replay(is_complete=since is None or since.is_moment, position=None)

    def is_ready(self, channel: str) -> bool | None:
        """Tell whether :meth:`ready` would return at once. A feed that cannot say so says None, which costs a task."""
        return None
