"""Targets behind a real socket: what the parsers of HTTP and of WebSocket are given, by a server in another thread."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import uvicorn

from django_jugpush.brokers.local import LocalFeed
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import SubscriptionDenied
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from django_jugpush.server.http import uvicorn_options
from tests.wire import frame

from . import corpus
from .mutations import Mutator

__all__ = ["MAX_TURN", "TARGETS", "Served"]

MAX_TURN = 0.05
"""Seconds of the server's own time in one turn of its event loop."""

PATIENCE = 30.0

AT_ONCE = 20
"""Connections at the same time."""

FRAMES_OF_CONNECTION = 30

STATUSES = {100, 101, 200, 204, 400, 403, 404, 405, 408, 413, 414, 426, 429, 431, 503}
CLOSE_CODES = {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1012, *map(int, DisconnectCode)}
CODES = {int(code) for code in (*ErrorCode, *DisconnectCode)}


def authorize(channel: str, token: str | None) -> Grant:
    """Open half of all channels."""
    if len(channel) % 2:
        raise SubscriptionDenied("odd")
    return Grant(channel=channel, user=token[:1] if token else None, granted_by="page" if token else "public")


class Served:
    """A push server as ``manage.py juggernaut`` runs it, whose turns are measured."""

    def __init__(self) -> None:
        feed = LocalFeed()
        self.push = PushServer(
            ServerConfig(), authorize=authorize, origin_allowed=lambda *_, **__: True, feed=feed, publish_endpoint=None
        )
        self.is_warm = False
        """Whether what is imported and made late is there."""
        self.longest_turn = 0.0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.address: tuple[str, int] = self._socket.getsockname()
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(self.push, log_config=None, log_level="critical", **uvicorn_options(self.push))
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Served:
        gc.collect()
        gc.freeze()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(PATIENCE)
        gc.unfreeze()
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        measuring = asyncio.create_task(self._measure())
        await self._uvicorn.serve([self._socket])
        measuring.cancel()

    async def _measure(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            if self.is_warm:
                self.longest_turn = max(self.longest_turn, now - before)
            before = now
            if not self.push.guard.connections:
                await asyncio.sleep(0.01)
                before = time.thread_time()


async def http(address: tuple[str, int], make: Callable[[], bytes]) -> int:
    """Send one request; return how many inputs that were."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(make() + b"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await _read(reader, writer)
    except ConnectionError:
        answer = b""
    finally:
        writer.transport.abort()
    if answer:
        assert answer.startswith(b"HTTP/1.1 "), answer[:200]
        assert int(answer[9:12]) in STATUSES, answer[:200]
    return 1


async def frames(address: tuple[str, int], make: Callable[[], bytes]) -> int:
    """Open a WebSocket and send it what it may understand or not; return how many inputs that were."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(corpus.UPGRADE)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert head.startswith(b"HTTP/1.1 101 "), head
        for _ in range(FRAMES_OF_CONNECTION):
            writer.write(make())
        answer = await _read(reader, writer)
    except ConnectionError:
        answer = b""
    finally:
        writer.transport.abort()
    _check_frames(answer)
    return FRAMES_OF_CONNECTION


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read until the server has done with what was sent: it closes, or has nothing to say."""
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65_536), 0.05):
            answer += chunk
    except TimeoutError:
        pass
    return answer


def _check_frames(data: bytes) -> None:
    """Look at what the server has sent: text is JSON whose codes are documented, and so is that of the end."""
    while len(data) >= 2:
        opcode, size, start = data[0] & 15, data[1] & 127, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        payload, data = data[start : start + size], data[start + size :]
        if len(payload) < size:
            return
        if opcode == 1:
            word: dict[str, Any] = json.loads(payload)
            assert word.get("code", 100) in CODES, word
        elif opcode == 8 and payload:
            code = int.from_bytes(payload[:2], "big")
            assert code in CLOSE_CODES or 3000 <= code < 5000, payload  # RFC 6455, 5.5.1: a client's own comes back
        else:
            assert opcode in (8, 10), opcode


def make_requests(random: Random) -> Callable[[], bytes]:
    """Return what makes requests."""
    return Mutator(random, corpus.REQUESTS)


def make_frames(random: Random) -> Callable[[], bytes]:
    """Return what makes frames: broken ones, after which little is understood, and good ones around broken commands."""
    broken, commands = Mutator(random, corpus.FRAMES), Mutator(random, corpus.COMMANDS)

    def make() -> bytes:
        if random.random() < 0.1:
            return broken()
        return frame(1, commands(), mask=random.choice((bytes(4), b"\xff\x00\x10\x80")))

    return make


Maker = Callable[[Random], Callable[[], bytes]]
Sender = Callable[[tuple[str, int], Callable[[], bytes]], Awaitable[int]]

TARGETS: dict[str, tuple[Maker, Sender]] = {"http": (make_requests, http), "frames": (make_frames, frames)}
