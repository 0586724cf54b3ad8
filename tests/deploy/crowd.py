"""Many clients at once, that come back as the browser's client does: client/src/connection.js."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import threading
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

SOON = 0.5
"""Seconds that the browser's client waits at most, once the server has said that it will soon be back."""


class Crowd:
    """Clients in a thread of their own, each subscribed to one public channel."""

    def __init__(self, url: str, *, size: int, channel: str, certificate: str) -> None:
        self.size = size
        self.connected = 0
        self.drops = 0
        self.received = 0
        """Publications, those of all clients together."""
        self._url = f"{url.replace('http', 'ws', 1)}/juggernaut/websocket?protocol=1"
        self._origin = url
        self._channel = channel
        self._tls = ssl.create_default_context(cafile=certificate)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        self.wait_for(lambda: self.is_complete)
        return self

    def __exit__(self, *exception) -> None:
        self._stopping.set()
        self._thread.join(20)

    @property
    def is_complete(self) -> bool:
        """Whether every client is subscribed."""
        return self.connected == self.size

    def wait_for(self, condition, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.connected} of {self.size} are here, {self.received} received"
            time.sleep(0.01)

    async def _run(self) -> None:
        clients = [asyncio.create_task(self._live()) for _ in range(self.size)]
        await asyncio.to_thread(self._stopping.wait)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _live(self) -> None:
        attempt, spread = 0, 1.0
        while True:
            try:
                async with connect(
                    self._url, origin=self._origin, ssl=self._tls, compression=None, ping_interval=None, proxy=None
                ) as connection:
                    place, spread = await self._follow(connection)
                    attempt = 0
                    pause = place * spread
            except (OSError, EOFError, InvalidHandshake, ConnectionClosed):
                pause = random.uniform(0, min(max(SOON, spread), 2**attempt))
                attempt += 1
            await asyncio.sleep(pause)

    async def _follow(self, connection: ClientConnection) -> tuple[float, float]:
        """Subscribe and read until the end; return the place among those to come back, and within how many seconds."""
        await connection.send(json.dumps({"type": "subscribe", "id": 1, "channel": self._channel}))
        is_here, place, spread = False, random.random(), 1.0
        try:
            async for text in connection:
                message = json.loads(text)
                match message.get("type"):
                    case "connected":
                        place = message["place"]
                    case "subscribed":
                        is_here = True
                        self.connected += 1
                    case "ping":
                        await connection.send('{"type":"pong"}')
                    case "disconnect":
                        spread = message.get("spread", 1000) / 1000
                        break
                    case None:
                        self.received += 1
        finally:
            if is_here:
                self.connected -= 1
                self.drops += 1
        return place, spread
