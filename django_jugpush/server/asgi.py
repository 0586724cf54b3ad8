"""What the push server answers at which path, under its mount point and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .types import Receive, Scope, Send
from .websocket import serve_websocket

if TYPE_CHECKING:
    from .app import PushServer

__all__ = ["dispatch"]


async def dispatch(server: PushServer, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI scope."""
    match scope["type"]:
        case "lifespan":
            await _serve_lifespan(server, receive, send)
        case "websocket" if _path(server, scope) == "/websocket":
            await serve_websocket(server, scope, receive, send)
        case "websocket":
            await receive()
            await send({"type": "websocket.close"})
        case "http":
            await _serve_http(server, scope, receive, send)
        case _:
            raise ValueError(f"unknown ASGI scope {scope['type']!r}")


def _path(server: PushServer, scope: Scope) -> str:
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if path.startswith(f"{root}/"):
        path = path[len(root) :]
    return "/" + path.removeprefix(server.config.path).removeprefix("/")


async def _serve_lifespan(server: PushServer, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await server.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await server.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _serve_http(server: PushServer, scope: Scope, receive: Receive, send: Send) -> None:
    match scope["method"], _path(server, scope):
        case ("POST", "/publish") | ("GET", "/hello") if server.publish_endpoint is not None:
            await server.start()
            await server.publish_endpoint(scope, receive, send)
        case "GET" | "HEAD", "/healthz":
            await _answer(send, 200, b"ok")
        case "GET", "/websocket":
            await _answer(send, 426, b"This address speaks WebSocket.")
        case _:
            await _answer(send, 404, b"")


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 426:
        headers.append((b"upgrade", b"websocket"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
