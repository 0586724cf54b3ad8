"""Which tab caused what is published: what it did itself is not told to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from django.http import HttpRequest

from django_jugpush.core.clients import is_client_id

__all__ = ["CLIENT_FIELD", "CLIENT_HEADER", "caused_by", "client_id", "current_cause"]

CLIENT_HEADER = "X-Juggernaut-Client"
"""The header in which a script's request says from which tab it comes …"""

CLIENT_FIELD = "juggernaut_client"
"""… and the field in which a form does."""

_cause: ContextVar[str | None] = ContextVar("jugpush_cause", default=None)


def client_id(request: HttpRequest) -> str | None:
    """
    Return the id of the client, which is a tab, that sent ``request``; None if it does not say.

    The browser says so itself, in the header ``X-Juggernaut-Client`` or in the form field ``juggernaut_client``. The
    form is read only if there is no such header; a body that cannot be read counts as one without the field.
    """
    request = getattr(request, "_request", request)  # Django REST framework's wrapper reads bodies in its own way
    for tell in (_header, _form_field):
        told = tell(request)
        if told and is_client_id(told):
            return told
    return None


@contextlib.contextmanager
def caused_by(request: HttpRequest) -> Iterator[None]:
    """
    Keep what is published meanwhile from the tab that sent ``request``: it shows what it did itself.

    That goes for ``publish()`` and for changes of rows, also for those that wait for the commit, and for what the tab
    is told when it comes back. Other tabs get it, of the same user too. Of a row that something else has changed in the
    same transaction, the tab is told as everybody is.

    Works in coroutines. A request that does not say from which tab it comes keeps nothing from anybody.
    """
    token = _cause.set(client_id(request))
    try:
        yield
    finally:
        _cause.reset(token)


def current_cause() -> str | None:
    """Return the id of the client that causes what is published here; None if it is none."""
    return _cause.get()


def _header(request: HttpRequest) -> str | None:
    return request.headers.get(CLIENT_HEADER)


def _form_field(request: HttpRequest) -> str | None:
    try:
        return request.POST.get(CLIENT_FIELD)  # of what is no form, Django reads nothing here
    except Exception:  # too big, cut off, malformed, read before: the business of the view
        return None
