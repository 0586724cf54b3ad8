"""The original Juggernaut 2.1.1 beside a push server of this package, on one Redis."""

from __future__ import annotations

import json
import threading

import msgspec
import pytest
from django.test import override_settings

import django_jugpush
from django_jugpush.brokers.juggernaut2011 import Juggernaut2011Broker
from django_jugpush.core.publication import Publication
from django_jugpush.juggernaut import Juggernaut
from tests.redis_server import RedisServer

from .conftest import wait_until_heard

CHANNELS = ("juggernaut:subscribe", "juggernaut:unsubscribe", "juggernaut:custom")


@pytest.fixture
def url(shared_redis: RedisServer):
    return shared_redis.url


@pytest.fixture
def jug(url):
    with override_settings(JUGPUSH={"BROKER": url}):
        jug = Juggernaut()
    yield jug
    jug.redis.close()


class Events:
    """What is told on the channels of 2011."""

    def __init__(self, client):
        self.pubsub = client.pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe(*CHANNELS)
        for _ in CHANNELS:
            self.pubsub.get_message(timeout=10)

    def next(self):
        message = self.pubsub.get_message(timeout=10)
        return message["channel"].decode().rpartition(":")[2], message["data"].decode()


@pytest.fixture
def events(jug):
    events = Events(jug.redis)
    yield events
    events.pubsub.close()


@pytest.fixture
def old_page(original, url, events):
    """A page of the original server that follows the channel ``open:news``."""
    wait_until_heard(url, "juggernaut")
    with original.page() as page:
        page.send(type="subscribe", channel="open:news")
        assert events.next()[0] == "subscribe"
        yield page


@pytest.fixture
def new_page(serve, url):
    """A page of this package that follows the same channel."""
    with serve(url=url).peer(query="protocol=1&client=client-0123456789") as peer:
        peer.subscribe("open:news")
        yield peer


def test_one_publication_reaches_pages_of_both(old_page, new_page, jug):
    jug.publish(["open:news", "open:other"], {"text": "é😀"})
    for page in (old_page, new_page):
        assert page.receive() == {"channel": "open:news", "data": {"text": "é😀"}}


def test_what_django_publishes_reaches_pages_of_both(old_page, new_page, url):
    with override_settings(JUGPUSH={"BROKER": f"juggernaut+{url}"}):
        django_jugpush.publish("open:news", {"text": "Back at 18:00"}, raise_on_error=True)
        django_jugpush.publish("open:news", "not for you", exclude=old_page.session_id, raise_on_error=True)
        django_jugpush.publish("open:news", "for all", raise_on_error=True)
    assert [old_page.receive()["data"] for _ in range(2)] == [{"text": "Back at 18:00"}, "for all"]
    assert [new_page.receive()["data"] for _ in range(3)] == [{"text": "Back at 18:00"}, "not for you", "for all"]


def test_both_exclude_by_the_id_that_their_pages_know(old_page, new_page, jug):
    jug.publish("open:news", 1, except_=old_page.session_id)
    jug.publish("open:news", 2, except_=["client-0123456789", "someone-else"])
    jug.publish("open:news", 3)
    # The original discloses whom it excludes, so only what they see is compared.
    assert [old_page.receive()["data"] for _ in range(2)] == [2, 3]
    assert [new_page.receive()["data"] for _ in range(2)] == [1, 3]


def test_deadly_name_is_kept_from_the_original(old_page, url):
    """It would deliver nothing more, to anybody, until it is started again."""
    broker = Juggernaut2011Broker(f"juggernaut+{url}")
    with pytest.raises(django_jugpush.exceptions.BrokerError):
        broker.publish([Publication(id="1", channel="constructor", data=msgspec.Raw(b"1"))])
    broker.publish([Publication(id="2", channel="open:news", data=msgspec.Raw(b"2"))])
    assert old_page.receive()["data"] == 2
    broker.close()


def test_both_tell_the_same_of_a_client(original, serve, url, events):
    """But for the session's id, to the byte: meta, subscribing, an event, unsubscribing, and leaving."""

    def act(page, id):
        page.send(type="meta", data={"name": "Ann"})
        page.send(type="subscribe", channel="open:a")
        page.send(type="subscribe", channel="open:b")
        page.send(type="event", data={"hello": [1, 2]})
        page.send(type="event")
        told = [events.next() for _ in range(4)]
        page.send(type="unsubscribe", channel="open:a")
        told.append(events.next())
        page.socket.close()
        return [(event, text.replace(id, "ID")) for event, text in [*told, events.next()]]

    with original.page() as page:
        expected = act(page, page.session_id)
    with serve(url=url, public_events=True).peer(query="protocol=1&client=client-0123456789") as peer:
        assert act(peer, "client-0123456789") == expected
    assert json.loads(expected[3][1])["meta"] == {"name": "Ann"}


def test_python_api_hears_the_original(original, jug, url):
    listening, told = jug.subscribe_listen(), []
    program = threading.Thread(target=lambda: told.append(next(listening)))
    program.start()
    wait_until_heard(url, "juggernaut:custom")
    with original.page() as page:
        page.send(type="subscribe", channel="open:a")
        program.join(10)
    assert told == [("subscribe", {"channel": "open:a", "session_id": page.session_id})]
    listening.close()
