"""A second, small HTTP server beside the one that clients see, on the same event loop."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from uvicorn.server import ServerState

from .guard import Guard
from .http import BoundedHttpProtocol
from .proxies import Proxies
from .turns import Turns
from .types import ASGIApplication

__all__ = ["Listener"]


class Listener:
    """Serves an ASGI application by HTTP on a socket of its own."""

    def __init__(self, application: ASGIApplication, sock: socket.socket) -> None:
        self._application = application
        self._socket = sock
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, on the running event loop."""
        # Not access_log=False, which would silence the log of a uvicorn that this server is mounted in.
        config = uvicorn.Config(
            self._application, ws="none", lifespan="off", log_config=None, proxy_headers=False, server_header=False
        )
        config.load()
        guard, proxies, turns = Guard(), Proxies(()), Turns()

        def make_protocol() -> asyncio.Protocol:
            return BoundedHttpProtocol(
                config=config, server_state=self._state, app_state={}, guard=guard, proxies=proxies, turns=turns
            )

        self._server = await asyncio.get_running_loop().create_server(make_protocol, sock=self._socket)

    async def stop(self) -> None:
        """Close the socket, and connections that nothing is being answered on."""
        if self._server:
            self._server.close()
        self._socket.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # what was written leaves
