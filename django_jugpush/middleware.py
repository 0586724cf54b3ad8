"""Middleware that a project may add; none of it is needed for the set-up."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.sessions.backends.base import SessionBase
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from .access.logins import LOGIN_KEY, stored_login
from .access.pages import PRIVATE
from .access.receivers import ENDED
from .access.revocation import end_login

__all__ = ["LoginMiddleware"]


class LoginMiddleware:
    """
    Ends what listens for a login that a view ended without Django's saying so, and keeps pages with tokens private.

    Such logins are those that ``login()`` over another user's session and ``request.session.flush()`` have ended.
    Pages that got a token get ``Cache-Control: private``, for caches outside of Django. Put it below
    ``SessionMiddleware``. It reads no session by itself, so pages that do not look at theirs stay cacheable.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        emptied = _watch(request)
        if self._is_async:
            return self._respond(request, emptied)
        response: HttpResponseBase = self.get_response(request)
        _end(request, emptied)
        return _marked(request, response)

    async def _respond(self, request: HttpRequest, emptied: list[tuple[str, str]]) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        if emptied:
            await sync_to_async(_end)(request, emptied)
        return _marked(request, response)


def _marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if getattr(request, PRIVATE, False):
        patch_cache_control(response, private=True)
    return response


def _watch(request: HttpRequest) -> list[tuple[str, str]]:
    """Return a list into which the logins come that are taken out of the request's session, once that is committed."""
    emptied: list[tuple[str, str]] = []
    session: SessionBase | None = getattr(request, "session", None)
    if session is None:
        return emptied
    # All ways lead through clear(). On an event loop, what is not loaded yet cannot be loaded there.
    clear, aflush = session.clear, session.aflush

    def note_and_clear() -> None:
        if hasattr(session, "_session_cache") or not _is_on_event_loop():
            _note(session, emptied)
        clear()

    async def load_and_flush() -> None:
        await session.aget(LOGIN_KEY)
        await aflush()

    session.clear = note_and_clear  # type: ignore[method-assign]
    session.aflush = load_and_flush  # type: ignore[method-assign]
    return emptied


def _note(session: SessionBase, emptied: list[tuple[str, str]]) -> None:
    if (stored := stored_login(session)) and stored[1]:
        note = functools.partial(emptied.append, stored)
        # Asking the database for its autocommit would not do on an event loop either.
        transaction.on_commit(note) if connections[DEFAULT_DB_ALIAS].in_atomic_block else note()


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _end(request: HttpRequest, emptied: list[tuple[str, str]]) -> None:
    for stored in dict.fromkeys(emptied):
        is_back = stored_login(request.session) == stored  # some code puts back what it saved
        if not (is_back or stored[0] in getattr(request, ENDED, ())):
            end_login(*stored)
