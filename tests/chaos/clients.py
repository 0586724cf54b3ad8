"""Hundreds of clients that come back with their positions, as the browser's does: client/src/subscriptions.js."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from .checker import STALE

__all__ = ["Client", "Swarm"]

PAUSE = 0.3
"""Seconds that a client waits at most before it comes back."""


class Client:
    """One tab: a few channels, and what it got of each."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.records: dict[str, list[int | str]] = {channel: [] for channel in channels}
        self.positions: dict[str, str] = {}
        self.subscribed: set[str] = set()
        self.connection: ClientConnection | None = None
        self.is_stalled = asyncio.Event()
        self.is_stalled.set()

    async def live(self, urls: Sequence[str]) -> None:
        """Connect to one of the servers, again and again."""
        while True:
            with contextlib.suppress(OSError, EOFError, InvalidHandshake, ConnectionClosed, TimeoutError):
                async with connect(
                    random.choice(urls),
                    compression=None,
                    ping_interval=None,
                    open_timeout=3,
                    close_timeout=0.5,
                    max_size=None,
                    proxy=None,
                ) as connection:
                    self.connection = connection
                    await self._follow(connection)
            self.connection = None
            self.subscribed.clear()
            await asyncio.sleep(random.uniform(0, PAUSE))

    def cut(self) -> None:
        """Lose the connection without a word."""
        if self.connection:
            self.connection.transport.abort()

    async def _follow(self, connection: ClientConnection) -> None:
        for channel in self.records:
            await self._subscribe(connection, channel)
        while True:
            async with asyncio.timeout(10):  # heartbeats come more often than that
                text = await connection.recv()
            await self.is_stalled.wait()
            await self._receive(connection, json.loads(text))

    async def _subscribe(self, connection: ClientConnection, channel: str) -> None:
        word = {"type": "subscribe", "channel": channel}
        if channel in self.positions:
            word["since"] = self.positions[channel]
        await connection.send(json.dumps(word))

    async def _receive(self, connection: ClientConnection, word: dict) -> None:
        match word.get("type"):
            case None | "stale":
                self._take(word)
            case "subscribed":
                await self._answered(connection, word)
            case "ping":
                await connection.send('{"type":"pong"}')
            case "error":
                assert word["temporary"], word
                await connection.close()  # and ask again on the next one

    async def _answered(self, connection: ClientConnection, word: dict) -> None:
        channel = word["channel"]
        if word.get("recovered") is False:
            self.records[channel].append(STALE)
        for frame in word.get("publications", ()):
            self._take(frame)
        self.positions[channel] = word["position"]
        if word.get("more"):
            await self._subscribe(connection, channel)
        else:
            self.subscribed.add(channel)

    def _take(self, frame: dict) -> None:
        channel = frame["channel"]
        self.records[channel].append(STALE if "type" in frame else frame["data"])
        # A channel of whose stream the server knew nothing when it lost Redis is stale, and nobody can say where.
        self.positions[channel] = frame.get("position", self.positions[channel])


class Swarm:
    """Clients on an event loop in a thread of their own."""

    def __init__(self, urls: Sequence[str], *, size: int, channels: Sequence[str], each: int, seed: int) -> None:
        chance = random.Random(seed)
        self._urls = urls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.clients = [self._call(Client, chance.sample(channels, each)) for _ in range(size)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._call(self._start)

    def _start(self) -> None:
        self._tasks = [self._loop.create_task(client.live(self._urls)) for client in self.clients]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        failures = [result for result in results if not isinstance(result, asyncio.CancelledError)]
        assert not failures, failures[0]

    def cut(self, clients: Sequence[Client]) -> None:
        for client in clients:
            self._loop.call_soon_threadsafe(client.cut)

    def stall(self, clients: Sequence[Client], seconds: float) -> None:
        """Let clients read nothing for a while."""
        for client in clients:
            self._loop.call_soon_threadsafe(client.is_stalled.clear)
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, client.is_stalled.set)

    @property
    def is_complete(self) -> bool:
        """Whether every client is subscribed to all its channels."""
        return all(len(client.subscribed) == len(client.records) for client in self.clients)

    @property
    def received(self) -> int:
        return sum(len(record) for client in self.clients for record in client.records.values())

    def _call(self, function, *arguments):
        async def call():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)
