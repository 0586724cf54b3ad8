"""
What stopped the original, tried on this server, without effect.

What its Redis did to it, this one's does not either: ``tests/chaos/test_redis.py`` restarts Redis, has it start after
the server, and takes it away. Slow readers and long bodies are in ``tests/server``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import struct
import time

import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from django_jugpush.brokers.juggernaut2011 import DEADLY_NAMES
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from tests.server.conftest import TIMEOUT

NAMES = sorted({*DEADLY_NAMES, "getChannels", "prototype", "__count__"})


@pytest.fixture
def witness(served):
    """A client that was there before, and must notice nothing."""
    with served.peer() as peer:
        assert peer.subscribe("open:news")["type"] == "subscribed"
        yield peer


def works(witness, redis_server, data):
    """Tell whether what is published still arrives, and promptly."""
    began = time.monotonic()
    publish(redis_server, {"channels": ["open:news"], "data": data})
    return witness.receive()["data"] == data and time.monotonic() - began < 1


def publish(redis_server, message):
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.publish("juggernaut", json.dumps(message)) == 1


def ask(served, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        return connection.getresponse().status


@pytest.mark.parametrize("body", ["", "d", "d=", "d=7", "d=%22", "d=[]", "x=1", "\0"])
def test_broken_form_of_jsonp_polling(served, witness, redis_server, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(served, "POST", "/socket.io/1/jsonp-polling/1", body, headers) == 404
    assert works(witness, redis_server, 1)


@pytest.mark.parametrize("name", NAMES)
def test_members_of_every_javascript_object(served, witness, redis_server, name):
    """As a session, a client and a channel, from the outside; and as a channel that is published to."""
    assert ask(served, "GET", f"/socket.io/1/xhr-polling/{name}") == 404
    for path in (f"/socket.io/1/websocket/{name}", f"/juggernaut/{name}"):
        with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{served.port}{path}"):
            pytest.fail(f"{path} lets clients in")
    with served.peer(query=f"protocol=1&client={name}") as peer:
        assert peer.subscribe(name)["code"] == ErrorCode.DENIED
        assert peer.subscribe(f"open:{name}")["type"] == "subscribed"
        publish(redis_server, {"channels": [name, f"open:{name}"], "data": 2, name: 1, "getChannels": 1})
        assert peer.receive() == {"channel": f"open:{name}", "data": 2}
    assert works(witness, redis_server, 1)


def test_json_of_its_own_is_data_like_any(served, witness, redis_server):
    publish(redis_server, {"channels": ["open:news"], "data": {"toJSON": 1}, "toJSON": "1"})
    assert witness.receive() == {"channel": "open:news", "data": {"toJSON": 1}}
    assert works(witness, redis_server, 1)


def test_frame_that_announces_four_gigabytes(served, witness, redis_server):
    """It is refused by its head: nothing is allocated for it."""
    before = _memory()
    with served.peer() as peer:
        raw = peer.socket.socket
        raw.sendall(struct.pack("!BBQ", 0x81, 0x80 | 127, 4_000_000_000) + b"\0" * 4)
        with pytest.raises(ConnectionClosed) as closed:
            peer.receive()
        assert closed.value.rcvd.code == 1009
    assert _memory() - before < 64 * 1024 * 1024
    assert works(witness, redis_server, 1)


def test_channel_that_claims_to_be_long(served, witness, redis_server):
    with served.peer() as peer:
        began = time.monotonic()
        for channel in ({"length": 20_000_000}, [], 7, None):
            assert peer.subscribe(channel)["code"] == ErrorCode.BAD_REQUEST
        assert time.monotonic() - began < 1
    assert works(witness, redis_server, 1)


def test_packets_of_then_are_no_commands(served, witness, redis_server):
    """Who says nothing else is sent away."""
    with served.peer() as peer:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                peer.socket.send("1::")
        words, code = peer.rest()
        assert {word["code"] for word in words[:-1]} == {ErrorCode.INVALID_JSON}
        assert code == DisconnectCode.TOO_MANY_ERRORS
    assert works(witness, redis_server, 1)


def test_endless_subscriptions_are_refused(served, witness, redis_server):
    with served.peer() as peer:
        answers = [peer.subscribe(f"open:{number}") for number in range(150)]
    refused = [answer["code"] for answer in answers if answer["type"] == "error"]
    assert refused == [ErrorCode.LIMIT_EXCEEDED] * 50
    assert works(witness, redis_server, 1)


def test_new_name_with_each_publication_leaves_nothing(served, witness, redis_server):
    """Neither in the server nor in Redis: a name that nobody listens to is not remembered."""
    with redis.Redis.from_url(redis_server.url) as client:
        keys = client.dbsize()
        for start in range(0, 10_000, 1000):
            names = [f"open:{number}" for number in range(start, start + 1000)]
            client.publish("juggernaut", json.dumps({"channels": names, "data": 1}))
        assert works(witness, redis_server, 1)
        assert client.dbsize() == keys
    assert served.push.hub.channels() == {"tests:open:news"}
    assert len(served.feed._channels) == 1


def _memory():
    """Return this process's resident memory, in bytes; the server is a thread of it."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
