"""Which broker it is, and what is said when it fails."""

from __future__ import annotations

import logging

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.locmem import EmailBackend
from django.test.utils import _TestState

from django_jugpush import publish
from django_jugpush.brokers.base import Broker
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.brokers.local import LocalBroker
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from django_jugpush.publishing import circuit, delivery
from django_jugpush.publishing.delivery import get_broker, use_broker
from django_jugpush.signals import publish_failed


class Own(Broker):
    """A project's own broker."""

    def __init__(self, config):
        self.config = config
        self.error = None
        self.published = []

    def publish(self, publications):
        if self.error:
            raise self.error
        self.published += publications


@pytest.fixture
def failures():
    """What ``publish_failed`` said."""
    heard = []

    def hear(**kwargs):
        heard.append(kwargs)

    publish_failed.connect(hear)
    yield heard
    publish_failed.disconnect(hear)


@pytest.fixture
def broker():
    """A broker that can fail."""
    own = Own(None)
    with use_broker(own):
        yield own


def test_djangos_test_runner_publishes_to_the_dummy(settings):
    """So no test opens a socket."""
    settings.JUGPUSH = {}
    assert isinstance(get_broker(), DummyBroker)
    assert get_broker() is get_broker()


def test_otherwise_the_push_server_is_posted_to(settings, monkeypatch):
    """Development, and one node in production, need no service."""
    monkeypatch.delattr(_TestState, "saved_data")
    settings.JUGPUSH = {}
    assert isinstance(get_broker(), LocalBroker)


def test_mail_kept_in_memory_is_no_sign_of_a_test(settings, monkeypatch):
    """Development settings use that backend too, and it makes the outbox that tests know."""
    monkeypatch.delattr(_TestState, "saved_data")
    settings.JUGPUSH = {}
    monkeypatch.delattr(mail, "outbox")
    EmailBackend()
    assert mail.outbox == []
    assert isinstance(get_broker(), LocalBroker)


def test_a_broker_can_be_named_by_its_class(settings):
    """A third party's; it gets the configuration."""
    settings.JUGPUSH = {"BROKER": f"{__name__}.Own", "NAMESPACE": "shop"}
    assert isinstance(get_broker(), Own)
    assert get_broker().config.NAMESPACE == "shop"


def test_a_changed_setting_makes_another_broker(settings):
    """Tests override it as they do any other."""
    settings.JUGPUSH = {"BROKER": "dummy://"}
    first = get_broker()
    settings.JUGPUSH = {"BROKER": "dummy://", "NAMESPACE": "other"}
    assert get_broker() is not first


def test_changed_keys_make_another_broker(settings):
    """It signs with them."""
    first = get_broker()
    settings.SECRET_KEY = "another"
    assert get_broker() is not first


def test_a_forked_process_has_a_broker_of_its_own(settings, monkeypatch):
    """Its parent's connections are not for two."""
    settings.JUGPUSH = {"BROKER": "dummy://"}
    first = get_broker()
    assert get_broker() is first
    monkeypatch.setattr(delivery.os, "getpid", lambda: -1)
    assert get_broker() is not first


def test_a_broker_that_does_not_exist_is_misconfiguration(settings):
    """A check says so first."""
    settings.JUGPUSH = {"BROKER": "carrier-pigeon://"}
    with pytest.raises(ImproperlyConfigured, match="carrier-pigeon"):
        publish("x", 1)


def test_an_outage_is_logged_once_and_so_is_its_end(broker, caplog):
    """With the number of publications that were lost."""
    broker.error = BrokerError("full")
    publish(["a", "b"], 1)
    publish("x", 1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "full" in caplog.text
    broker.error = None
    publish("x", 1)
    publish("x", 1)
    assert len(caplog.records) == 2
    assert "3 publications were lost" in caplog.records[1].getMessage()
    assert len(broker.published) == 2


def test_each_outage_is_logged(broker, caplog):
    """The second is news again."""
    for error in (BrokerError("first"), None, BrokerError("second")):
        broker.error = error
        publish("x", 1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING, logging.ERROR]


def test_a_failure_is_signalled_each_time(broker, failures, caplog):
    """With what was lost, and why."""
    broker.error = BrokerError("full")
    publish("a", 1)
    publish("b", 1)
    assert [[p.channel for p in failure["publications"]] for failure in failures] == [["a"], ["b"]]
    assert failures[0]["error"] is broker.error
    assert failures[0]["sender"] is Own


def test_a_receiver_that_fails_does_no_harm(broker, caplog):
    """The request has nothing to do with it."""

    called = []

    def fail(**kwargs):
        called.append(kwargs["error"])
        raise RuntimeError

    publish_failed.connect(fail)
    try:
        broker.error = BrokerError("full")
        publish("x", 1)
    finally:
        publish_failed.disconnect(fail)
    assert called == [broker.error]


def test_a_broker_with_a_mistake_does_no_harm(broker, caplog):
    """Its exception is logged with the traceback, which is no broker's way to fail."""
    broker.error = ZeroDivisionError("mistake")
    publish("x", 1)
    assert caplog.records[0].exc_info


def test_a_broker_that_was_waited_for_in_vain_is_asked_once(broker, failures, caplog, monkeypatch):
    """For the rest of the circuit's pause nothing waits; each loss is signalled all the same."""
    monkeypatch.setattr(circuit, "CHEAP", 0.0)
    broker.error = BrokerUnavailable("away")
    publish("x", 1)
    broker.error = None
    publish("x", 1)
    assert not broker.published
    assert len(failures) == 2 and circuit.PAUSE == 5
    assert len(caplog.records) == 1


def test_what_was_on_its_way_is_no_sign_that_the_broker_is_back(caplog):
    """One thread fails while another's publication, which was sent before, is still to be answered."""

    class Overtaken(Own):
        def publish(self, publications):
            if publications[0].channel == "first":
                publish("second", 2)
            elif self.error:
                raise self.error

    own = Overtaken(None)
    own.error = BrokerUnavailable("away")
    with use_broker(own):
        publish("first", 1)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        own.error = None
        publish("third", 3)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
