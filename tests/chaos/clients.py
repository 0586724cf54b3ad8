"""Hundreds of clients that come back with their positions, as the browser's does: client/src/subscriptions.js."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from .channels import kind_of
from .checker import STALE, Entry, Newest
from .publisher import Past, Publisher

__all__ = ["Client", "Page", "Swarm"]

PAUSE = 0.3
"""Seconds that a client waits at most before it comes back."""


class Page:
    """What a tab gets of a channel, until it is loaded again."""

    def __init__(self, past: Past, position: str | None) -> None:
        self.position = position
        self.past = past
        self.after = past.number
        """The number since which it is to get everything."""
        self.record: list[Entry] = []
        self.times: list[list[float | None]] = []
        """When it got what came live, after each time that it asked; None for the word of a gap."""
        self.asked = 0.0
        self.newest = self.losses = 0
        self.is_new = True
        """Whether the newest of when it asked must be in the answer: to who has an older one it may come live."""

    @property
    def numbers(self) -> list[int | str]:
        """What it was told, in order."""
        return [entry for entry in self.record if not isinstance(entry, Newest)]

    def ask(self) -> dict[str, str]:
        """Return from where it wants to hear; take note of what it must be given."""
        self.asked = time.monotonic()
        self.is_new = self.position is None or self.position.startswith(":")
        self.losses, self.newest = self.past.losses, self.past.newest
        self.times.append([])
        return {} if self.position is None else {"since": self.position}

    def answered(self, word: dict, *, gives_newest: bool) -> None:
        if self.position is None:
            self.after = self.past.number
        if word.get("recovered") is False:
            self.record.append(STALE)
        for frame in word.get("publications", ()):
            self.take(frame)
        self.position = word["position"]
        must_give = gives_newest and (self.is_new or word.get("recovered") is False)
        if must_give and self.past.losses == self.losses:
            self.record.append(Newest(self.newest))

    def take(self, frame: dict) -> None:
        self.record.append(STALE if "type" in frame else frame["data"][0])
        # A channel of whose stream the server knew nothing when it lost Redis is stale, and nobody can say where.
        self.position = frame.get("position", self.position)

    def take_live(self, frame: dict) -> None:
        self.take(frame)
        self.times[-1].append(None if "type" in frame else time.monotonic() - self.asked)


class Client:
    """One tab: a few channels, and what it got of each."""

    def __init__(self, id: str, channels: Sequence[str], publisher: Publisher) -> None:
        self.id = id
        self.channels = channels
        self.pages: dict[str, Page] = {}
        self.past_pages: list[tuple[str, Page]] = []
        self.subscribed: set[str] = set()
        self.connection: ClientConnection | None = None
        self.is_stalled = asyncio.Event()
        self.is_stalled.set()
        self._pasts = publisher.pasts
        self.load(with_moment=False)

    def load(self, *, with_moment: bool) -> None:
        """Begin anew: where the page was rendered, or, as it is with a script of one's own, where the channels are."""
        self.cut()
        self.past_pages += self.pages.items()
        # First the number: what is handed over later is later.
        self.pages = {channel: Page(self._pasts[channel], None) for channel in self.channels}
        if with_moment:
            moment = f":0-{int(time.time() * 1000)}"
            for page in self.pages.values():
                page.position = moment

    async def live(self, urls: Sequence[str]) -> None:
        """Connect to one of the servers, again and again."""
        while True:
            with contextlib.suppress(OSError, EOFError, InvalidHandshake, ConnectionClosed, TimeoutError):
                async with connect(
                    f"{random.choice(urls)}&client={self.id}",
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
        pages = self.pages
        for channel in self.channels:
            await self._subscribe(connection, channel)
        while True:
            async with asyncio.timeout(10):  # heartbeats come more often than that
                text = await connection.recv()
            await self.is_stalled.wait()
            if pages is not self.pages:
                return
            await self._receive(connection, json.loads(text))

    async def _subscribe(self, connection: ClientConnection, channel: str) -> None:
        await connection.send(json.dumps({"type": "subscribe", "channel": channel, **self.pages[channel].ask()}))

    async def _receive(self, connection: ClientConnection, word: dict) -> None:
        match word.get("type"):
            case None | "stale":
                self.pages[word["channel"]].take_live(word)
            case "subscribed":
                await self._answered(connection, word)
            case "ping":
                await connection.send('{"type":"pong"}')
            case "error":
                assert word["temporary"], word
                await connection.close()  # and ask again on the next one

    async def _answered(self, connection: ClientConnection, word: dict) -> None:
        channel, is_whole = word["channel"], not word.get("more")
        self.pages[channel].answered(word, gives_newest=is_whole and kind_of(channel).last)
        if is_whole:
            self.subscribed.add(channel)
        else:
            await self._subscribe(connection, channel)


class Swarm:
    """Clients on an event loop in a thread of their own."""

    def __init__(
        self,
        ids: Sequence[str],
        urls: Sequence[str],
        publisher: Publisher,
        *,
        channels: Sequence[str],
        each: int,
        seed: int,
    ) -> None:
        chance = random.Random(seed)
        self._urls = urls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.clients = [self._call(Client, id, chance.sample(channels, each), publisher) for id in ids]
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

    def load(self, clients: Sequence[Client], *, with_moment: bool) -> None:
        """Let clients load their pages again."""
        for client in clients:
            self._call(functools.partial(client.load, with_moment=with_moment))

    def stall(self, clients: Sequence[Client], seconds: float) -> None:
        """Let clients read nothing for a while."""
        for client in clients:
            self._loop.call_soon_threadsafe(client.is_stalled.clear)
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, client.is_stalled.set)

    @property
    def is_complete(self) -> bool:
        """Whether every client is subscribed to all its channels."""
        return all(len(client.subscribed) == len(client.channels) for client in self.clients)

    @property
    def pages(self) -> Iterator[tuple[Client, str, Page, bool]]:
        """Each page that there is or was, and whether it is over."""
        for client in self.clients:
            yield from ((client, channel, page, True) for channel, page in client.past_pages)
            yield from ((client, channel, page, False) for channel, page in client.pages.items())

    def _call(self, function, *arguments):
        async def call():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)
