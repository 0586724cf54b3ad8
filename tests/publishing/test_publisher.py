"""``publish`` and ``apublish``: what they take, when they raise, and when they do not."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe

from django_jugpush import apublish, channel_name, publish, user_channel
from django_jugpush.brokers.base import Broker
from django_jugpush.exceptions import BrokerUnavailable, InvalidChannel, PayloadTooBig
from django_jugpush.publishing.delivery import use_broker
from tests.app.models import Order


def test_an_id_is_returned_and_shared_by_all_channels(broker):
    """It is one publication."""
    publication_id = publish(["a", "b"], {"text": "hello"}, exclude="client")
    assert [(p.id, p.channel, p.exclude) for p in broker.publications] == [
        (publication_id, "a", ("client",)),
        (publication_id, "b", ("client",)),
    ]
    assert publish("a", 1) != publication_id


@pytest.mark.parametrize(
    ("given", "excluded"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ("one", ("one",)),
        (["one", "two", "one"], ("one", "two")),
        (["one", None, ""], ("one",)),
        ({"one": 1}, ("one",)),
        (mark_safe("one"), ("one",)),
    ],
)
def test_one_client_or_several_are_excluded(broker, given, excluded):
    """A request without the header has none to exclude."""
    publish("x", 1, exclude=given)
    assert broker.publications[0].exclude == excluded
    assert {type(client) for client in broker.publications[0].exclude} <= {str}


def test_what_is_no_clients_id_is_refused_at_the_call(broker):
    """Not when it is handed to the broker, where nobody would see it."""
    with pytest.raises(TypeError):
        publish("x", 1, exclude=[42])
    assert not broker.batches


@pytest.mark.parametrize("exclude", [5, 0, object()])
def test_what_is_neither_an_id_nor_several_is_named(broker, exclude):
    """Python would say that it is not iterable, or take nothing for nobody."""
    with pytest.raises(TypeError) as caught:
        publish("x", 1, exclude=exclude)
    assert str(caught.value) == f"exclude takes a client's id or several, not {exclude!r}."
    assert not broker.batches


def test_each_channel_has_the_options_of_its_declaration(broker, declared):
    """Channels of one publication may differ."""
    declared("price:<slug:symbol>", last=True, max_rate=2, history=(5, 60))
    publish(["price:acme", "banner"], 1)
    async_to_sync(apublish)("price:acme", None)
    assert [(p.channel, p.last, p.max_rate, p.history) for p in broker.publications] == [
        ("price:acme", True, 2, (5, 60)),
        ("banner", False, None, None),
        ("price:acme", True, 2, (5, 60)),
    ]


def test_to_no_channel_nothing_is_published(broker):
    """An empty list is a list."""
    assert publish([], 1)
    assert not broker.batches


def test_none_is_published_as_null(broker):
    """It is a value like any other."""
    publish("x", None)
    assert broker.messages == [("x", None)]


@pytest.mark.django_db
def test_instances_users_and_names_are_targets(broker, alice):
    """Each stands for its channel."""
    order = Order(pk=7)
    publish([order, alice, "x", order, None, SimpleLazyObject(lambda: alice)], 1, on_commit=False)
    assert [name for name, _ in broker.messages] == [channel_name(order), user_channel(alice), "x"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("to", "data", "error"),
    [
        ("", 1, InvalidChannel),
        ("a\nb", 1, InvalidChannel),
        (Order(), 1, InvalidChannel),
        (7, 1, TypeError),
        (None, 1, TypeError),
        ("x", object(), TypeError),
        ("x", float("nan"), ValueError),
        ("x", "x" * 65_536, PayloadTooBig),
    ],
)
@pytest.mark.parametrize("on_commit", [True, False])
def test_a_mistake_of_the_caller_raises_at_the_call(broker, to, data, error, on_commit):
    """Inside a transaction too, where the commit is far away."""
    with transaction.atomic():
        publish("x", "good")
        with pytest.raises(error):
            publish(to, data, on_commit=on_commit)
        with pytest.raises(error):
            async_to_sync(apublish)(to, data, on_commit=on_commit)
    assert broker.messages == [("x", "good")]


@pytest.mark.django_db(transaction=True)
def test_data_is_encoded_at_the_call(broker):
    """What is done to it afterwards is not published."""
    data = {"percent": 1}
    with transaction.atomic():
        publish("x", data)
        data["percent"] = 2
    assert broker.messages == [("x", {"percent": 1})]


def test_apublish_takes_what_publish_takes(broker):
    """And returns the id."""
    publication_id = async_to_sync(apublish)(["a", "b"], 1, exclude="client")
    assert [(p.id, p.channel, p.exclude) for p in broker.publications] == [
        (publication_id, "a", ("client",)),
        (publication_id, "b", ("client",)),
    ]


class Away(Broker):
    """Cannot be reached."""

    def publish(self, publications):
        raise BrokerUnavailable("away")


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_does_not_fail_the_request():
    """Inside a transaction and outside."""
    with use_broker(Away()):
        with transaction.atomic():
            Order.objects.create()
            publish("x", 1)
            publish("x", 1, on_commit=False)
        publish("x", 1)
        async_to_sync(apublish)("x", 1)
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_raise_on_error_raises_what_is_sent_now():
    """After a commit nobody could catch it."""
    with use_broker(Away()):
        with pytest.raises(BrokerUnavailable):
            publish("x", 1, raise_on_error=True)
        with pytest.raises(BrokerUnavailable):
            async_to_sync(apublish)("x", 1, raise_on_error=True)
        with transaction.atomic():
            publish("x", 1, raise_on_error=True)
