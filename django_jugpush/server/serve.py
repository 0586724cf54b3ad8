"""A push server in a process of its own: uvicorn, with the parts of its life that it leaves to others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from .access_log import AccessLog, logger
from .app import PushServer
from .http import uvicorn_options
from .listener import Listener
from .proxies import Proxies, TrustedProxies
from .types import ASGIApplication

__all__ = [
    "BACKLOG",
    "Server",
    "bind",
    "make_config",
    "raise_file_limit",
    "remove_dead_socket",
    "spare_garbage_collector",
]

BACKLOG = 2048
"""Connections that may wait to be accepted: after a restart every client comes back at once."""

CLOSING_TIMEOUT = 1.0
"""Seconds that clients have to close their side, when all that was queued for them is on its way."""

REPORT_AFTER = 10
"""Tenths of a second after which a server that is not ready says why."""

Report = Callable[[str], None]
"""Takes what keeps the server from being ready; nothing when it is."""


class Server(uvicorn.Server):
    """
    uvicorn's server, which here sends the clients away before it shuts down.

    uvicorn itself cuts connections first and tells the application afterwards. The methods below are not its public
    interface; ``tests/server/test_serve.py`` shows whether they still fit.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        push: PushServer,
        *,
        drain_timeout: float,
        report: Report,
        listeners: Sequence[Listener] = (),
    ) -> None:
        super().__init__(config)
        self._push = push
        self._drain_timeout = drain_timeout
        self._report: Report | None = report
        self._listeners = listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._push.start()
        for listener in self._listeners:
            await listener.start()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            await self._push.start()  # unless it has: the process that had the claim may be gone
        if self._report and (counter == REPORT_AFTER or not self._push.obstacle):
            self._report(self._push.obstacle)
            if not self._push.obstacle:
                self._report = None
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end = time.monotonic() + self._drain_timeout
        for server in self.servers:
            server.close()
        await self._unless_forced(self._push.drain(self._drain_timeout))
        await self._unless_forced(self._wait_for_closing(min(end, time.monotonic() + CLOSING_TIMEOUT)))
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)
        await self._unless_forced(self._push.stop())
        for listener in self._listeners:
            await listener.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order at the first signal, at once at the second; either way by returning."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def _unless_forced(self, step: Coroutine[Any, Any, None]) -> None:
        """Take a step of the shutdown, until it is done or a second signal comes."""
        task = asyncio.create_task(step)
        while not (task.done() or self.force_exit):
            await asyncio.wait([task], timeout=0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _wait_for_closing(self, end: float) -> None:
        while self.server_state.connections and time.monotonic() < end:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)


def make_config(push: PushServer, *, proxies: Sequence[str], **options: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for serving ``push``; ``options`` are those of ``uvicorn.Config``."""
    trusted = Proxies(proxies)
    application: ASGIApplication = push
    if logger.isEnabledFor(20):
        application = AccessLog(application)
    return uvicorn.Config(
        TrustedProxies(application, trusted),
        lifespan="off",
        log_config=None,
        log_level="warning",  # what it says at level INFO has URLs with their queries in it
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        **uvicorn_options(push, trusted),
        **options,
    )


def bind(host: str, port: int) -> list[socket.socket]:
    """
    Return a listening socket for each address of ``host``.

    Raises:
        OSError: If there is none, or one is in use.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    with contextlib.ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_server(address[:2], family=family, backlog=BACKLOG))
            for family, address in addresses
        ]
        opened.pop_all()
    return sockets


def remove_dead_socket(path: Path) -> None:
    """
    Remove a Unix socket that a killed process has left.

    Raises:
        OSError: If ``path`` is something else, or somebody listens there.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is not a socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    else:
        raise FileExistsError(f"{path} is in use")


def spare_garbage_collector() -> None:
    """
    Let the garbage collector look no more at what is there before the first client is.

    Django alone is some hundred thousand objects, which live as long as the process. To look through them takes the
    event loop 80 ms, several times a minute when clients come and go.
    """
    gc.collect()
    gc.freeze()


def raise_file_limit() -> None:
    """Allow as many open files, so connections, as the system lets this process have without asking."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
