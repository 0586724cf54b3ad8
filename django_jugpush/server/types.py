"""The shapes of ASGI, and of what the push server is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.session import Session

__all__ = ["ASGIApplication", "Authorize", "Claim", "Drive", "Message", "OriginAllowed", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

Authorize = Callable[[str, str | None], Grant | Question]
"""Takes a channel and the token that came with the request; raises to refuse. Runs on the event loop."""

Drive = Callable[[Session], None]
"""Does what follows for a session from what it was told, as :meth:`.driver.Driver.drive` does."""


class OriginAllowed(Protocol):
    """Tells whether a page may connect."""

    def __call__(self, origin: str | None, *, scheme: str, headers: Mapping[str, str]) -> bool:
        """``scheme`` is ``http`` or ``https``, as the server sees it; header names are in lower case."""


class Claim(Protocol):
    """The right to be the push server, where a project can have only one."""

    async def take(self) -> bool:
        """Try to get it, at once; return whether it is held. Called again until it is."""

    async def give_up(self) -> None:
        """Let another process have it."""
