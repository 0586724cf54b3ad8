"""The way from the publisher to the broker, on which nothing that goes wrong may reach the request."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_jugpush.brokers import make_broker
from django_jugpush.brokers.base import Broker
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.conf import Config, derived_keys, get_config
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError
from django_jugpush.rendezvous import find_servers
from django_jugpush.signals import publish_failed

from .circuit import Circuit

__all__ = ["Delivery", "broker_skew", "get_broker", "hand_over", "use_broker"]

logger = logging.getLogger("django_jugpush.publishing")


class Delivery:
    """Hands batches to one broker; says once when it begins to fail, and once when it is over."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.lost = 0
        """Publications that did not get through since the last that did."""
        self._circuit = Circuit(broker)
        self._failed_at = 0.0
        self._lock = threading.Lock()

    def hand_over(self, publications: Sequence[Publication]) -> Exception | None:
        """Publish; return what went wrong, after it is logged and ``publish_failed`` is sent."""
        began = time.monotonic()
        try:
            self._circuit.publish(publications)
        except Exception as error:
            self._note_failure(publications, error)
            publish_failed.send_robust(sender=type(self.broker), publications=tuple(publications), error=error)
            return error
        if self.lost and began > self._failed_at:  # what was on its way when it began to fail proves nothing
            self._note_recovery()
        return None

    def _note_failure(self, publications: Sequence[Publication], error: Exception) -> None:
        with self._lock:
            is_first = not self.lost
            self.lost += len(publications)
            self._failed_at = time.monotonic()
        if is_first:
            expected = isinstance(error, BrokerError)
            logger.error("Publishing fails from here on: %s", error, exc_info=None if expected else error)

    def _note_recovery(self) -> None:
        with self._lock:
            lost, self.lost = self.lost, 0
        if lost:
            logger.warning("Publishing works again; %d publications were lost.", lost)


def get_broker() -> Broker:
    """
    Return the broker of this process.

    Raises:
        ImproperlyConfigured: If ``BROKER`` names none.
    """
    return _delivery().broker


def broker_skew() -> float:
    """Return how many seconds the broker's clock is ahead of this process's; 0 if that is not known."""
    try:
        return get_broker().skew
    except ImproperlyConfigured:  # whoever publishes is told
        return 0.0


def hand_over(publications: Sequence[Publication], *, raise_on_error: bool = False) -> None:
    """
    Hand a batch to the broker. A broker that fails is logged, counted and signalled.

    Raises:
        ImproperlyConfigured: If ``BROKER`` names no broker.
        Exception: What the broker raised, with ``raise_on_error``.
    """
    if publications and (error := _delivery().hand_over(publications)) and raise_on_error:
        raise error


@contextlib.contextmanager
def use_broker(broker: Broker) -> Iterator[None]:
    """Have everything in this process go to ``broker`` meanwhile."""
    delivery = Delivery(broker)
    _substitutes.append(delivery)
    try:
        yield
    finally:
        _substitutes.remove(delivery)


_substitutes: list[Delivery] = []


def _delivery() -> Delivery:
    if _substitutes:
        return _substitutes[-1]
    return _make_delivery(get_config(), is_testing=_is_testing(), process=os.getpid())


def _is_testing() -> bool:
    # Not mail.outbox: outside of tests, the locmem backend makes that too. What was never imported has set up nothing.
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


# A forked child makes its own: its parent's holds connections, and perhaps a lock that no thread is left to release.
@functools.cache
def _make_delivery(config: Config, *, is_testing: bool, process: int) -> Delivery:
    return Delivery(_make_broker(config, is_testing=is_testing))


def _make_broker(config: Config, *, is_testing: bool) -> Broker:
    if config.BROKER is None and is_testing:
        return DummyBroker()
    try:
        return make_broker(config, keys=derived_keys("publish"), find=find_servers)
    except (LookupError, ValueError) as error:
        raise ImproperlyConfigured(f"JUGPUSH['BROKER']: {error}.") from error


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in ("JUGPUSH", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        _make_delivery.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_jugpush.publishing.delivery")
