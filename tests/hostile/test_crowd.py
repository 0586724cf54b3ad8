"""Hostile clients, beside good ones, on a push server as it is started in production."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.redis_server import running_redis
from tests.waiting import PATIENCE, wait_until
from tests.wire import HANDSHAKE, PONG, TEXT, frame

pytestmark = pytest.mark.processes

GOOD = 200
HOSTILE = 500

SECONDS = 4.0
"""How long latencies are taken, without and with the hostile."""

INTERVAL = 0.04
"""Seconds between publications."""

BLOCKS = 8
"""Parts of a measurement. The median of theirs is taken, since other programs of the machine hold single ones up."""

FLOOR = 0.05
"""Seconds that a machine with two busy cores needs to give the server its turn: so much more is no fault of it."""


class GoodClient(asyncio.Protocol):
    """Follows a channel, and answers heartbeats."""

    def __init__(self, latencies):
        self.is_subscribed = False
        self.is_lost = False
        self.has_left = asyncio.Event()
        self._latencies = latencies
        self._buffer = b""

    def connection_made(self, transport):
        self._transport = transport
        transport.write(HANDSHAKE + frame(TEXT, b'{"type":"subscribe","id":1,"channel":"banner"}'))

    def data_received(self, data):
        now = time.monotonic()
        self._buffer += data
        while (start := self._buffer.find(b'"at":')) >= 0 and (end := self._buffer.find(b"}", start)) >= 0:
            self._latencies.append(now - float(self._buffer[start + 5 : end]))
            self._buffer = self._buffer[end:]
        if b'"subscribed"' in self._buffer:
            self.is_subscribed = True
            self._buffer = b""
        if b'"ping"' in self._buffer:
            self._transport.write(frame(PONG) + frame(TEXT, b'{"type":"pong"}'))
            self._buffer = b""

    def connection_lost(self, error):
        self.is_lost = True
        self.has_left.set()

    def leave(self):
        self._transport.abort()


class GoodCrowd:
    """Good clients in a thread of their own; ``latencies`` are those since the last time that it was emptied."""

    def __init__(self, host, port):
        self.latencies = []
        self._address = host, port
        self._clients = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: len(self._clients) == GOOD and all(client.is_subscribed for client in self._clients))
        return self

    def __exit__(self, *exception):
        self._stopping.set()
        self._thread.join(PATIENCE)

    @property
    def lost(self):
        return sum(client.is_lost for client in self._clients)

    async def _run(self):
        loop = asyncio.get_running_loop()
        for _ in range(GOOD):
            _, client = await loop.create_connection(lambda: GoodClient(self.latencies), *self._address)
            self._clients.append(client)
        await asyncio.to_thread(self._stopping.wait)
        for client in self._clients:
            client.leave()
        await asyncio.gather(*(client.has_left.wait() for client in self._clients))


def publish_for(seconds, redis):
    """Publish steadily; return how many."""
    started = time.monotonic()
    number = 0
    while (due := started + number * INTERVAL) < started + seconds:
        time.sleep(max(0, due - time.monotonic()))
        redis.publish("juggernaut", json.dumps({"channels": ["banner"], "data": {"at": time.monotonic()}}))
        number += 1
    return number


def measure(crowd, redis):
    """Return the 99th percentile of the time from publishing to each good client, as it usually is."""
    crowd.latencies.clear()
    expected = publish_for(SECONDS, redis) * GOOD
    wait_until(lambda: len(crowd.latencies) >= expected)
    size = expected // BLOCKS
    blocks = [sorted(crowd.latencies[block * size : (block + 1) * size]) for block in range(BLOCKS)]
    return statistics.median(block[size * 99 // 100] for block in blocks)


@contextlib.contextmanager
def attacking(server):
    """Hostile clients, all of which have come."""
    attack = [sys.executable, str(Path(__file__).with_name("attack.py")), *server.url.split(":")]
    with subprocess.Popen(attack, stdout=subprocess.PIPE, text=True) as attackers:
        try:
            assert attackers.stdout.readline() == f"{HOSTILE}\n"
            yield
        finally:
            attackers.kill()


def metrics(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE) as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_good_clients_do_not_notice_five_hundred_hostile_ones(push, tmp_path, capsys):
    """
    They get everything, and 99 of 100 publications in no more than twice the time that they take when it is calm.

    While it is calm, another push server is attacked, so that the machine has as much to do.
    """
    ops = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(tmp_path))
        publisher = stack.enter_context(redis.client())
        broker = {"SITE_JUGPUSH": json.dumps({"BROKER": redis.url})}
        server, other = push.start("--ops-bind", ops, **broker), push.start(**broker)
        host, _, port = server.url.partition(":")
        crowd = stack.enter_context(GoodCrowd(host, int(port)))
        with attacking(other):
            calm = measure(crowd, publisher)
        with attacking(server):
            hostile = measure(crowd, publisher)
            seen = metrics(ops)
        assert crowd.lost == 0
    with capsys.disabled():
        print(f" p99 calm {calm * 1000:.1f} ms, hostile {hostile * 1000:.1f} ms ", end="")
    assert seen["jugpush_connections"] > GOOD + 100
    assert seen['jugpush_dropped_total{reason="fragments"}'] > 0
    assert seen['jugpush_errors_total{code="DENIED"}'] > 0
    assert hostile < max(2 * calm, calm + FLOOR)
