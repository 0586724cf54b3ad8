"""What the push server answers at which path, under its mount point and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .types import Receive, Scope, Send
from .websocket import serve_websocket

if TYPE_CHECKING:
    from .app import PushServer

__all__ = ["answer", "dispatch", "serve_health"]


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
            if server.is_started or scope["method"] == "GET":
                await server.publish_endpoint(scope, receive, send)
            else:
                await answer(send, 503, server.obstacle)
        case "GET" | "HEAD", "/healthz" | "/readyz" as path:
            await serve_health(server, path, send)
        case "GET" | "HEAD", "/":
            await answer(send, 204, "")
        case "GET", "/websocket":
            await answer(send, 426, "This address speaks WebSocket.")
        case _:
            await answer(send, 404, "")


async def serve_health(server: PushServer, path: str, send: Send) -> None:
    """Answer ``/healthz``: does the process live; or ``/readyz``: should clients be sent to it."""
    if path == "/readyz" and not server.is_draining:
        await server.start()
    obstacle = server.obstacle if path == "/readyz" else ""
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
