"""
Five hundred hostile connections: ``python attack.py HOST PORT``.

One that is thrown out comes back after a second. Prints a line when all have connected once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.wire import CONT, HANDSHAKE, PING, TEXT, frame

names = itertools.count()

connected = 0
all_connected = asyncio.Event()


async def silent(reader, writer):
    """Connect, and say nothing."""
    await reader.read()


async def slow_headers(reader, writer):
    """Send a head a byte at a time."""
    for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def half_open(reader, writer):
    """Open a WebSocket, and be gone without a word."""
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(3600)


async def endless_subscriptions(reader, writer):
    """Subscribe to names that nobody else knows, and to one that all know, and leave them, as fast as can be."""
    writer.write(HANDSHAKE)
    reading = asyncio.create_task(reader.read())
    while not reading.done():
        number = next(names)
        for channel in f'"banner:{number}","token":"x"', '"banner"':
            for word in "subscribe", "unsubscribe":
                writer.write(frame(TEXT, f'{{"type":"{word}","channel":{channel}}}'.encode()))
        await writer.drain()
        await asyncio.sleep(0.001)


async def never_reads(reader, writer):
    """Follow a channel, and take nothing of it, nor the answers to pings."""
    writer.transport.pause_reading()
    writer.write(HANDSHAKE)
    writer.write(frame(TEXT, b'{"type":"subscribe","channel":"banner"}'))
    while True:
        writer.write(frame(PING, bytes(125)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def tiny_frames(reader, writer):
    """Send a message in pieces of nothing."""
    writer.write(HANDSHAKE)
    writer.write(frame(TEXT, b"{", fin=False))
    reading = asyncio.create_task(reader.read())
    while not reading.done():
        writer.write(frame(CONT, fin=False) * 1000)
        await writer.drain()
        await asyncio.sleep(0.001)


CROWD = {
    silent: 100,
    slow_headers: 100,
    half_open: 75,
    endless_subscriptions: 75,
    never_reads: 75,
    tiny_frames: 75,
}


async def live(behaviour, host, port):
    global connected
    for life in itertools.count():
        with contextlib.suppress(OSError, EOFError):
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            reader, writer = await asyncio.open_connection(sock=sock)
            if life == 0:
                connected += 1
                if connected == sum(CROWD.values()):
                    all_connected.set()
            try:
                await behaviour(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


async def main(host, port):
    lives = [
        asyncio.create_task(live(behaviour, host, port)) for behaviour, number in CROWD.items() for _ in range(number)
    ]
    await all_connected.wait()
    print(len(lives), flush=True)
    await asyncio.gather(*lives)


if __name__ == "__main__":
    # Attackers have machines of their own: what these need must not be what the server and its clients lack.
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
