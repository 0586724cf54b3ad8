"""The Python API of 2011: its examples run with the import line changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid

import pytest
import redis
from django.test import override_settings

from django_jugpush.juggernaut import Juggernaut

PUBLISHING = """
from django_jugpush.juggernaut import Juggernaut
jug = Juggernaut()
jug.publish('open:channel1', 'The message')
jug.publish(['open:channel1', 'open:channel2'], ['foo', 'bar'])
jug.publish('open:channel1', 'Not for you', except_='a-session-id-0123')
"""

LISTENING = """
from django_jugpush.juggernaut import Juggernaut
jug = Juggernaut()
for event, data in jug.subscribe_listen():
    if event == 'subscribe':
        print('subscribed', data['channel'], data['session_id'], flush=True)
    elif event == 'unsubscribe':
        print('unsubscribed', data['channel'], flush=True)
    elif event == 'custom':
        print('custom', data['data'], flush=True)
        break
"""


@pytest.fixture
def configured(redis_server):
    with override_settings(JUGPUSH={"BROKER": redis_server.url}):
        yield


@pytest.fixture
def jug(redis_server):
    with redis_server.client() as client:
        yield Juggernaut(client)


def heard(redis_server, act, key="juggernaut"):
    """Return what is published to a channel of Redis by ``act``."""
    with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(key)
        pubsub.get_message(timeout=10)
        act()
        client.publish(key, "end")
        messages = []
        while (message := pubsub.get_message(timeout=10))["data"] != "end":
            messages.append(message["data"])
        return messages


def test_publishing_example_reaches_a_page(configured, served):
    with served.peer() as peer:
        for channel in ("open:channel1", "open:channel2"):
            peer.subscribe(channel)
        exec(PUBLISHING, {})
        assert [peer.receive() for _ in range(4)] == [
            {"channel": "open:channel1", "data": "The message"},
            {"channel": "open:channel1", "data": ["foo", "bar"]},
            {"channel": "open:channel2", "data": ["foo", "bar"]},
            {"channel": "open:channel1", "data": "Not for you"},
        ]


def test_listening_example_hears_of_a_page(configured, served, redis_server, capsys):
    program = threading.Thread(target=exec, args=(LISTENING, {}))
    program.start()
    with redis.Redis.from_url(redis_server.url) as client:
        while not client.pubsub_numsub("juggernaut:custom")[0][1]:
            pass
    with served.peer(query="protocol=1&client=client-0123456789") as peer:
        peer.subscribe("room", token="room")
        peer.send(type="unsubscribe", channel="room")
        assert peer.receive()["type"] == "unsubscribed"
        peer.subscribe("hall", token="hall")
        peer.send(type="event", data={"x": 1})
        program.join(10)
    assert capsys.readouterr().out.splitlines() == [
        "subscribed room client-0123456789",
        "unsubscribed room",
        "subscribed hall client-0123456789",
        "custom {'x': 1}",
    ]


def test_message_is_that_of_2011(redis_server, jug):
    """Names keep their order, each once; except only where there is one; options last, and they win."""

    def act():
        jug.publish("a", {"k": 1})
        jug.publish(["b", "a", "b"], None, except_=["x", "y"])
        jug.publish(("a",), 1, except_="")
        jug.publish(channels="c", data=1, except_="x", more=True)
        jug.publish("a", 1, **{"except": "y"})

    assert [json.loads(message) for message in heard(redis_server, act)] == [
        {"channels": ["a"], "data": {"k": 1}},
        {"channels": ["b", "a"], "data": None, "except": ["x", "y"]},
        {"channels": ["a"], "data": 1},
        {"channels": ["c"], "data": 1, "except": "x", "more": True},
        {"channels": ["a"], "data": 1, "except": "y"},
    ]


def test_key_says_where_it_publishes(redis_server):
    with redis_server.client() as client:
        jug = Juggernaut(client, key="shop")
        assert (jug.key, jug.redis) == ("shop", client)
        assert heard(redis_server, lambda: jug.publish("a", 1), "shop") == ['{"channels": ["a"], "data": 1}']


def test_what_json_does_not_know_is_written_as_django_does_or_refused(redis_server, jug):
    id = uuid.uuid4()
    (message,) = heard(redis_server, lambda: jug.publish("a", id))
    assert json.loads(message)["data"] == str(id)
    for data, error in (float("nan"), ValueError), (object(), TypeError):
        with pytest.raises(error):
            jug.publish("a", data)


MESSAGES = [
    ("juggernaut:subscribe", '{"channel":"a","session_id":"1"}'),
    ("juggernaut:custom", "broken"),
    ("juggernaut:custom", "[" * 100_000),
    ("juggernaut:unsubscribe", '{"channel":"a","meta":"\\u00e9","session_id":"1"}'),
    ("juggernaut:custom", '{"session_id":"1","data":[1]}'),
]


@pytest.mark.parametrize("decode", [False, True])
def test_listening_yields_what_is_told_and_nothing_else(redis_server, decode):
    """No confirmations, no broken messages; bytes or text, as the connection likes."""
    with redis.Redis(port=redis_server.port, decode_responses=decode) as client:
        jug = Juggernaut(client)
        assert jug.events == ("juggernaut:subscribe", "juggernaut:unsubscribe", "juggernaut:custom")
        told, listening = [], jug.subscribe_listen()
        program = threading.Thread(target=lambda: told.extend(next(listening) for _ in range(3)))
        program.start()
        with redis_server.client() as other:
            while not all(count for _, count in other.pubsub_numsub(*jug.events)):
                pass
            for channel, payload in MESSAGES:
                other.publish(channel, payload)
        program.join(10)
        listening.close()
    assert told == [
        ("subscribe", {"channel": "a", "session_id": "1"}),
        ("unsubscribe", {"channel": "a", "meta": "é", "session_id": "1"}),
        ("custom", {"session_id": "1", "data": [1]}),
    ]


def test_handler_is_called_for_each_event(redis_server, jug):
    class Enough(Exception):
        pass

    told = []

    def handler(event, data):
        told.append((event, data))
        if len(told) == 2:
            raise Enough

    def program():
        with pytest.raises(Enough):
            jug.subscribe(handler)

    thread = threading.Thread(target=program)
    thread.start()
    with redis_server.client() as client:
        while not client.pubsub_numsub("juggernaut:custom")[0][1]:
            pass
        for number in range(2):
            client.publish("juggernaut:custom", json.dumps({"data": number}))
    thread.join(10)
    assert told == [("custom", {"data": 0}), ("custom", {"data": 1})]


@pytest.mark.parametrize(
    ("broker", "host"),
    [
        (None, "localhost"),
        ("dummy://", "localhost"),
        ("redis://example.com:7000/2", "example.com"),
        ("juggernaut+redis://example.com", "example.com"),
        ("shop.brokers.redis", "localhost"),
    ],
)
def test_default_connection_is_that_of_the_broker(broker, host):
    with override_settings(JUGPUSH={"BROKER": broker}):
        assert Juggernaut().redis.connection_pool.connection_kwargs["host"] == host


def test_script_outside_of_a_project_publishes_to_the_redis_of_this_machine(redis_server):
    """Django is installed, but there are no settings."""
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    program = f"""
import redis
from django_jugpush.juggernaut import Juggernaut
assert Juggernaut().redis.connection_pool.connection_kwargs["host"] == "localhost"
Juggernaut(redis.Redis(port={redis_server.port})).publish("a", 1)
"""

    def act():
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=30)

    assert heard(redis_server, act) == ['{"channels": ["a"], "data": 1}']
