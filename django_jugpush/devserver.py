"""
The push server inside ``manage.py runserver``: on the same port, in the same process, in a thread of its own.

The web server reads each request's first line. If its path is under the mount point, the socket changes hands: the
push server's event loop takes it, with what has been read of it. An ASGI server that Django's command has been
replaced with calls the push server across threads instead.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import http.server
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import uvicorn
from django.core.servers.basehttp import WSGIServer
from uvicorn.server import ServerState

from . import rendezvous
from .server.types import Receive, Scope, Send

__all__ = ["PushThread", "carry_push"]

START_TIMEOUT = 5.0
STOP_TIMEOUT = 2.0
DRAIN_TIMEOUT = 0.2  # at CONTROL-C the autoreloader's parent kills this process after a quarter of a second


class Push(Protocol):
    """What is needed of a :class:`django_jugpush.server.app.PushServer`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class PushThread:
    """
    Runs a push server on an event loop of its own.

    Sockets come from the web server, by :meth:`take`. Django processes come by a listener on the loopback whose
    address is left where they look for it: so they reach it whatever address and threads the web server has.

    The thread is a daemon, for the autoreloader waits for no thread; at the process's exit it is stopped in order.
    """

    def __init__(self, push: Push, *, path: str, options: Mapping[str, Any]) -> None:
        self.path = path
        self.url = ""
        self._push = push
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopping = asyncio.Event()
        self._state = ServerState()
        self._config = uvicorn.Config(
            push, **options, lifespan="off", log_config=None, proxy_headers=False, server_header=False
        )
        self._announcement: Path | None = None

    @property
    def is_running(self) -> bool:
        """Whether sockets can be handed over."""
        return self._loop is not None and self._loop.is_running()

    def start(self) -> None:
        """
        Start, and return when publications are taken.

        Raises:
            OSError: If the listener or its announcement cannot be made.
        """
        self._config.load()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}{self.path}"
        try:
            self._announcement = rendezvous.announce(self.url)
        except OSError:
            listener.close()
            raise
        atexit.register(self.stop)
        self._thread = threading.Thread(target=self._run, args=[listener], name="jugpush", daemon=True)
        self._thread.start()
        try:
            self._started.result(START_TIMEOUT)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Say goodbye to the clients and stop."""
        atexit.unregister(self.stop)
        if self._announcement:
            rendezvous.withdraw(self._announcement)
        if self._loop and self._thread:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_TIMEOUT)

    def take(self, sock: socket.socket, head: bytes) -> None:
        """Serve a connection of which ``head`` has been read."""
        assert self._loop
        sock.setblocking(False)
        serving = self._serve_socket(sock, head)
        try:
            asyncio.run_coroutine_threadsafe(serving, self._loop)
        except RuntimeError:  # the loop has just been closed: the process is about to end
            serving.close()
            sock.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be the ASGI application of a server that has another event loop."""
        theirs = asyncio.get_running_loop()

        def over_there(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def call(*args: Any) -> Any:
                return await _across(function(*args), theirs)

            return call

        assert self._loop
        await _across(self._push(scope, over_there(receive), over_there(send)), self._loop)

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        await self._push.start()
        server = await self._loop.create_server(self._make_protocol, sock=listener)
        self._started.set_result(None)
        await self._stopping.wait()
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await self._push.stop()
        for connection in list(self._state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # what was written leaves

    async def _serve_socket(self, sock: socket.socket, head: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: _Headstart(self._make_protocol(), head), sock)
        except OSError:  # the client has gone
            sock.close()

    def _make_protocol(self) -> asyncio.Protocol:
        # The arguments that uvicorn's own server gives; asyncio's class has none, which is all that is declared.
        make: Callable[..., asyncio.Protocol] = self._config.http_protocol_class
        return make(config=self._config, server_state=self._state, app_state={})


class _Headstart(asyncio.Protocol):
    """Gives the protocol that follows it the bytes that were read before."""

    def __init__(self, follower: asyncio.Protocol, head: bytes) -> None:
        self._follower = follower
        self._head = head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_protocol(self._follower)
        self._follower.connection_made(transport)
        self._follower.data_received(self._head)


async def _across(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Await on another loop; a cancellation goes there too."""

    async def run() -> Any:
        return await awaitable

    running = run()
    if not loop.is_running():
        running.close()
        raise ConnectionResetError("the other event loop has stopped")
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(running, loop))


def carry_push(server_class: type[WSGIServer], push: PushThread) -> type[WSGIServer]:
    """Return a subclass of Django's WSGI server that leaves requests under ``push.path`` to ``push``."""

    class PushCarrier(server_class):  # type: ignore[valid-type,misc]
        request_queue_size = 128  # after a reload every open page comes back at once

        def __init__(self, address: Any, handler_class: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(address, _carrying_handler(handler_class, push), *args, **kwargs)

    return PushCarrier


def _carrying_handler(
    handler_class: type[http.server.BaseHTTPRequestHandler], push: PushThread
) -> type[http.server.BaseHTTPRequestHandler]:
    prefix = quote(push.path).encode()

    class PushHandler(handler_class):  # type: ignore[valid-type,misc]
        def parse_request(self) -> bool:
            """Run for every request of a connection, when its first line has been read."""
            target = self.raw_requestline.split(b" ", 2)[1:2]
            if not (target and target[0].startswith(prefix) and push.is_running):
                return bool(super().parse_request())
            self.connection.setblocking(False)
            head = self.raw_requestline + self.rfile.peek()
            # Detached, the socket outlives the shutdown and close that follow here.
            push.take(socket.socket(fileno=self.connection.detach()), head)
            self.close_connection = True
            return False

    return PushHandler
