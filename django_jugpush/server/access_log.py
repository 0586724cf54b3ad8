"""A log of requests that holds no secret: paths without their queries, and no headers."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from .types import ASGIApplication, Message, Receive, Scope, Send

__all__ = ["AccessLog", "logger"]

logger = logging.getLogger("django_jugpush.access_log")

MAX_PATH = 200
"""Characters of a path that are written."""


class AccessLog:
    """
    Writes a line when a request, or a WebSocket connection, has ended; at level INFO.

    The line has the client's address, the method, the path, the status and the seconds that it took.
    """

    def __init__(self, application: ASGIApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = _status(message, status)
            await send(message)

        try:
            await self._application(scope, receive, send_and_note)
        finally:
            client = (scope.get("client") or ["-"])[0]
            path = quote(scope["path"])[:MAX_PATH]
            logger.info("%s %s %s %d %.3f s", client, _method(scope), path, status, time.monotonic() - started)


def _method(scope: Scope) -> str:
    return "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])


def _status(message: Message, status: int) -> int:
    match message["type"]:
        case "http.response.start":
            return int(message["status"])
        case "websocket.accept":
            return 101
        case "websocket.close" if status != 101:
            return 403
    return status
