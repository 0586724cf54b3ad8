"""The dummy broker, and the table that names brokers."""

from __future__ import annotations

import pytest

from django_jugpush.brokers import find_class
from django_jugpush.brokers.base import Broker
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.core.publication import Publication


def test_it_remembers_in_order():
    """And sends nothing anywhere."""
    broker = DummyBroker()
    publications = [Publication(id=str(number), channel="x") for number in range(3)]
    broker.publish(publications[:2])
    broker.publish(publications[2:])
    assert list(broker.publications) == publications


def test_it_forgets_the_oldest():
    """A suite may publish for an hour with nobody looking."""
    broker = DummyBroker()
    for number in range(DummyBroker.MAX_PUBLICATIONS + 1):
        broker.publish([Publication(id=str(number), channel="x")])
    assert len(broker.publications) == DummyBroker.MAX_PUBLICATIONS
    assert broker.publications[0].id == "1"


class Own(Broker):
    def publish(self, publications):
        pass


def test_a_broker_is_found_by_scheme_or_path():
    """A third party's by its path."""
    assert find_class("dummy://") is DummyBroker
    assert find_class(f"{__name__}.Own") is Own


@pytest.mark.parametrize("broker", ["pigeon://", "Own", "nowhere.Own", f"{__name__}.Missing", f"{__name__}.pytest"])
def test_what_is_no_broker_is_not_found(broker):
    """With the reason."""
    with pytest.raises(LookupError):
        find_class(broker)
