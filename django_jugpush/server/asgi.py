"""What the push server answers at which path, under its mount point and without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .life import Life
from .types import ASGIApplication, Receive, Scope, Send

__all__ = ["Routes", "answer", "serve_health", "serve_lifespan"]


class Routes:
    """
    An ASGI application that finds the one for a path.

    Args:
        path: Where the server is mounted.
        life: Says whether clients and publications may come.
        websocket: The door for WebSockets.
        publish_endpoint: The door for Django processes, where no other broker stands between.
    """

    def __init__(
        self, path: str, life: Life, *, websocket: ASGIApplication, publish_endpoint: ASGIApplication | None
    ) -> None:
        self._path = path
        self._life = life
        self._websocket = websocket
        self._publish_endpoint = publish_endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "websocket" if self._path_of(scope) == "/websocket":
                await self._websocket(scope, receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close"})
            case "http":
                await self._serve_http(scope, receive, send)
            case _:
                raise ValueError(f"unknown ASGI scope {scope['type']!r}")

    def _path_of(self, scope: Scope) -> str:
        path: str = scope["path"]
        root = scope.get("root_path", "").rstrip("/")
        if path.startswith(f"{root}/"):
            path = path[len(root) :]
        return "/" + path.removeprefix(self._path).removeprefix("/")

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], self._path_of(scope):
            case ("POST", "/publish") | ("GET", "/hello") if self._publish_endpoint is not None:
                await self._life.start()
                if self._life.is_started or scope["method"] == "GET":
                    await self._publish_endpoint(scope, receive, send)
                else:
                    await answer(send, 503, self._life.obstacle)
            case "GET" | "HEAD", "/healthz" | "/readyz" as path:
                await serve_health(self._life, path, send)
            case "GET" | "HEAD", "/":
                await answer(send, 204, "")
            case "GET", "/websocket":
                await answer(send, 426, "This address speaks WebSocket.")
            case _:
                await answer(send, 404, "")


async def serve_lifespan(
    receive: Receive, send: Send, *, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> None:
    """Start and stop with the HTTP server."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def serve_health(life: Life, path: str, send: Send) -> None:
    """Answer ``/healthz``: does the process live; or ``/readyz``: should clients be sent to it."""
    if path == "/readyz" and not life.is_draining:
        await life.start()
    obstacle = life.obstacle if path == "/readyz" else ""
    await answer(send, 503 if obstacle else 200, obstacle or "ok")


async def answer(send: Send, status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
    """Send a whole response."""
    body = text.encode()
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 204:  # RFC 9110, 8.6
        del headers[:2]
    if status == 426:
        headers.append((b"upgrade", b"websocket"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
