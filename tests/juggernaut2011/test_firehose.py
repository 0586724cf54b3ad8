"""What programs publish as in 2011 arrives in clients of this package."""

from __future__ import annotations

import contextlib
import json
import subprocess

import pytest

from django_jugpush.juggernaut import Juggernaut


def publish(redis_server, message):
    """Publish as any program can."""
    raw = message if isinstance(message, (bytes, str)) else json.dumps(message)
    with redis_server.client() as client:
        return client.publish("juggernaut", raw)


def test_readme_example_in_python_arrives(served, redis_server):
    with served.peer() as peer:
        peer.subscribe("open:channel1")
        with redis_server.client() as client:
            Juggernaut(client).publish("open:channel1", "Some data")
        assert peer.receive() == {"channel": "open:channel1", "data": "Some data"}


def test_json_of_the_ruby_gem_arrives(served, redis_server):
    """It makes names unique, and merges its options into the message."""
    with served.peer() as peer:
        peer.subscribe("open:channel1")
        publish(redis_server, '{"channels":["open:channel1","open:x"],"data":{"a":"é"},"except":"1028779184196112"}')
        assert peer.receive() == {"channel": "open:channel1", "data": {"a": "é"}}


def test_publish_of_redis_cli_arrives(served, redis_server):
    message = '{"channels":["open:channel1"],"data":"foo"}'
    with served.peer() as peer:
        peer.subscribe("open:channel1")
        command = ["redis-cli", "-p", str(redis_server.port), "PUBLISH", "juggernaut", message]
        assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout == "1\n"
        assert peer.receive() == {"channel": "open:channel1", "data": "foo"}


def test_channels_get_it_in_the_order_given(served, redis_server):
    with served.peer() as peer:
        for channel in ("open:a", "open:b"):
            peer.subscribe(channel)
        publish(redis_server, {"channels": ["open:b", "open:nobody", "open:a"], "data": 1})
        publish(redis_server, {"channels": "open:a", "data": 2})
        assert [peer.receive() for _ in range(3)] == [
            {"channel": "open:b", "data": 1},
            {"channel": "open:a", "data": 1},
            {"channel": "open:a", "data": 2},
        ]


def test_excepted_clients_do_not_get_it(served, redis_server):
    """One, or several; each by the id that its page knows as sessionID."""
    ids = [f"client-number-{number}-0123456789" for number in range(3)]
    with contextlib.ExitStack() as stack:
        one, two, three = (stack.enter_context(served.peer(query=f"protocol=1&client={id}")) for id in ids)
        for peer in (one, two, three):
            peer.subscribe("open:a")
        publish(redis_server, {"channels": ["open:a"], "data": 1, "except": ids[0]})
        publish(redis_server, {"channels": ["open:a"], "data": 2, "except": ids[:2]})
        publish(redis_server, {"channels": ["open:a"], "data": 3})
        assert [one.receive()["data"]] == [3]
        assert [two.receive()["data"] for _ in range(2)] == [1, 3]
        assert [three.receive()["data"] for _ in range(3)] == [1, 2, 3]


HARMLESS = [
    {"channels": ["open:a"], "data": "x" * 70_000},
    {"channels": ["user:1", "jugpush:control", "constructor", "__proto__", "toString"], "data": 1},
    {"data": 1},
    {"channels": 5, "data": 1},
    b"",
    b"\xff\xfe\x00",
    b'{"channels":["open:a"],"data":' + b"[" * 30_000,
    b'{"channels":["open:a"],"data":NaN}',
]


@pytest.mark.parametrize("message", HARMLESS, ids=lambda message: repr(message)[:40])
def test_bad_input_reaches_nobody_and_the_server_lives(served, redis_server, message):
    with served.peer() as peer:
        peer.subscribe("open:a")
        publish(redis_server, message)
        publish(redis_server, {"channels": ["open:a"], "data": "still alive"})
        assert peer.receive() == {"channel": "open:a", "data": "still alive"}


def test_control_words_cannot_be_forged(served, redis_server):
    with served.peer() as peer:
        peer.subscribe("open:a")
        publish(redis_server, {"channels": ["open:a"], "data": 1, "type": "disconnect", "code": 3500})
        publish(redis_server, {"channels": ["open:a"], "data": 2, "type": "stale", "reason": "gap", "stale": "gap"})
        assert [peer.receive() for _ in range(2)] == [
            {"channel": "open:a", "data": 1},
            {"channel": "open:a", "data": 2},
        ]


def test_poison_is_taken_out(served, redis_server):
    """A bad byte would end every browser's connection, and a line break would end an event of a stream."""
    with served.peer() as peer:
        peer.subscribe("open:a")
        publish(redis_server, b'{"channels":["open:a"],\n"data":[\r\n"\xff"]}')
        text = peer.socket.recv(10)
        assert "\n" not in text
        assert json.loads(text) == {"channel": "open:a", "data": ["�"]}


def test_reserved_channel_gets_nothing_from_there(served, redis_server):
    with served.peer() as peer:
        assert peer.subscribe("user:1", token="user:1/1")["type"] == "subscribed"
        peer.subscribe("open:a")
        publish(redis_server, {"channels": ["user:1", "open:a"], "data": 1})
        assert peer.receive() == {"channel": "open:a", "data": 1}


def test_other_name_is_another_channel(serve, redis_server):
    served = serve(key="shop")
    with served.peer() as peer:
        peer.subscribe("open:a")
        assert publish(redis_server, {"channels": ["open:a"], "data": "at the wrong door"}) == 0
        with redis_server.client() as client:
            Juggernaut(client, key="shop").publish("open:a", "at the right one")
        assert peer.receive()["data"] == "at the right one"
