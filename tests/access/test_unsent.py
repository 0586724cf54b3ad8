"""Messages about rights that the broker does not take at first."""

from __future__ import annotations

import threading

import pytest

from django_jugpush.access import unsent
from django_jugpush.access.control import make_control
from django_jugpush.access.unsent import Unsent
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable
from django_jugpush.publishing.delivery import hand_over, use_broker

TIMEOUT = 10


class Flaky:
    """Refuses so many times."""

    def __init__(self, failures):
        self.failures = failures
        self.taken = []
        self.done = threading.Event()

    def __call__(self, publications):
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("away")
        self.taken.append([publication.id for publication in publications])
        self.done.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(unsent, "FIRST_PAUSE", 0.01)


@pytest.fixture
def idle(monkeypatch):
    """A broker; nothing is sent of itself until the end of the test."""
    stopped = threading.Event()
    monkeypatch.setattr(unsent.time, "sleep", lambda pause: stopped.wait(TIMEOUT))
    yield Flaky(0)
    stopped.set()


def fail(waiting, *publications):
    waiting.receive(DummyBroker, publications, BrokerUnavailable("away"))


def test_message_is_sent_until_it_is_taken(caplog):
    """In order, with what has come meanwhile; and it is said, loudly, that something waits."""
    waiting = Unsent(broker := Flaky(2))
    messages = [make_control("reauthorize"), make_control("reauthorize")]
    for message in messages:
        fail(waiting, message)
    assert broker.done.wait(TIMEOUT)
    waiting._thread.join(TIMEOUT) if waiting._thread else None
    assert broker.taken == [[message.id for message in messages]]
    assert (waiting.count, len(waiting)) == (2, 0)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_thread_is_there_only_while_something_waits():
    waiting = Unsent(broker := Flaky(0))
    for _ in range(2):
        broker.done.clear()
        fail(waiting, make_control("reauthorize"))
        thread = waiting._thread
        assert broker.done.wait(TIMEOUT)
        if thread:
            thread.join(TIMEOUT)
        assert waiting._thread is None
    assert len(broker.taken) == 2


def test_other_publications_may_be_lost():
    """The page is told; nothing is sent again that is no longer true."""
    waiting = Unsent(Flaky(0))
    fail(waiting, Publication(id="1", channel="orders"))
    assert (waiting.count, len(waiting), waiting._thread) == (0, 0, None)


def test_what_waits_is_not_counted_twice(idle):
    """The signal comes again with each attempt that fails."""
    waiting = Unsent(idle)
    message = make_control("reauthorize")
    fail(waiting, message)
    fail(waiting, message)
    assert (waiting.count, len(waiting)) == (1, 1)


def test_end_of_the_process_is_one_more_chance(idle):
    waiting = Unsent(idle)
    fail(waiting, message := make_control("reauthorize"))
    waiting.finish()
    assert idle.taken == [[message.id]]


def test_app_has_connected_it(caplog, monkeypatch):
    """A broker that is away gets the message when it is back."""

    class Away(DummyBroker):
        def __init__(self):
            super().__init__()
            self.failures = 2
            self.done = threading.Event()

        def publish(self, publications):
            if self.failures:
                self.failures -= 1
                raise BrokerUnavailable("away")
            super().publish(publications)
            self.done.set()

    with use_broker(broker := Away()):
        hand_over([message := make_control("reauthorize")])
        assert broker.done.wait(TIMEOUT)
    assert [publication.id for publication in broker.publications] == [message.id]


def test_fork_has_a_thread_of_its_own(idle, monkeypatch):
    """It inherits what waits, and no thread that would send it."""
    waiting = Unsent(idle)
    fail(waiting, make_control("reauthorize"))
    parent = waiting._thread
    monkeypatch.setattr(unsent.os, "getpid", lambda: -1)
    waiting.finish()
    assert not idle.taken, "the parent sends it"
    fail(waiting, make_control("reauthorize"))
    assert waiting._thread is not parent
    waiting.finish()
    assert len(idle.taken[0]) == 2


def test_what_is_too_old_to_mean_anything_is_not_sent(idle, monkeypatch):
    waiting = Unsent(idle)
    fail(waiting, make_control("reauthorize"))
    monkeypatch.setattr(unsent, "CONTROL_HISTORY", (1, 0.0))
    waiting.finish()
    assert (idle.taken, len(waiting)) == ([], 0)


def test_no_more_wait_than_the_stream_keeps(idle, monkeypatch):
    """The first of them."""
    monkeypatch.setattr(unsent, "MAX_UNSENT", 3)
    waiting = Unsent(idle)
    messages = [make_control("reauthorize") for _ in range(5)]
    fail(waiting, *messages[:2])
    fail(waiting, *messages[2:])
    waiting.finish()
    assert idle.taken == [[message.id for message in messages[:3]]]
    assert waiting.count == 5
