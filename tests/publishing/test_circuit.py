"""A broker that was away is left alone for a while."""

from __future__ import annotations

import pytest

from django_jugpush.brokers.base import Broker
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from django_jugpush.publishing.circuit import Circuit


class Flaky(Broker):
    """Raises ``error``, if any, after ``seconds``, and counts the attempts."""

    def __init__(self, clock):
        self.clock = clock
        self.error = None
        self.seconds = 0.2
        self.attempts = 0

    def publish(self, publications):
        self.attempts += 1
        if self.error:
            self.clock.now += self.seconds
            raise self.error


@pytest.fixture
def broker(clock):
    return Flaky(clock)


@pytest.fixture
def circuit(broker, clock):
    return Circuit(broker, clock=clock)


def test_for_five_seconds_nothing_is_tried(circuit, broker, clock):
    """Each request would wait for a timeout otherwise."""
    broker.error = BrokerUnavailable("away")
    for clock.now in (100.0, 100.2, 105.1):
        with pytest.raises(BrokerUnavailable):
            circuit.publish([])
    assert broker.attempts == 1


def test_what_costs_nothing_is_tried_each_time(circuit, broker):
    """A connection that is refused at once holds nobody up, and the first batch after a restart gets through."""
    broker.error, broker.seconds = BrokerUnavailable("refused"), 0.001
    for _ in range(3):
        with pytest.raises(BrokerUnavailable, match="refused"):
            circuit.publish([])
    broker.error = None
    circuit.publish([])
    assert broker.attempts == 4


def test_then_it_is_tried_again(circuit, broker, clock):
    """And publishes, if the broker is back."""
    broker.error = BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        circuit.publish([])
    broker.error, clock.now = None, 105.2
    circuit.publish([])
    circuit.publish([])
    assert broker.attempts == 3


def test_while_one_tries_the_others_fail_at_once(circuit, broker, clock):
    """A hundred threads do not all wait."""
    broker.error = BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        circuit.publish([])
    clock.now = 105.2

    def try_meanwhile(publications):
        with pytest.raises(BrokerUnavailable, match="not tried"):
            circuit.publish([])

    broker.publish = try_meanwhile
    circuit.publish([])


def test_a_broker_that_refuses_is_not_away(circuit, broker):
    """The next batch may be to its liking."""
    broker.error = BrokerError("too many")
    for _ in range(2):
        with pytest.raises(BrokerError):
            circuit.publish([])
    assert broker.attempts == 2


def test_a_refusal_after_an_outage_closes_the_circuit(circuit, broker, clock):
    """It was reached."""
    broker.error = BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        circuit.publish([])
    broker.error, clock.now = BrokerError("too many"), 105.2
    for _ in range(2):
        with pytest.raises(BrokerError, match="too many"):
            circuit.publish([])
