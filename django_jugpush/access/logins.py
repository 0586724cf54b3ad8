"""
What a token is bound to: the login id and the user's fingerprint.

The login id is random and kept in the session's data. ``session_key`` would not do: it changes at a login, at a change
of one's own password and after a rotation of ``SECRET_KEY``, and with signed cookies at every save.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from django_jugpush.conf import derived_keys

__all__ = ["LOGIN_KEY", "connect_receivers", "fingerprint", "login_id"]

LOGIN_KEY = "_jugpush_login"
"""The key in the session; the value is a list of the login id and the user's primary key as text."""


def connect_receivers() -> None:
    """Give each login its id from the start. Called once, when the apps are ready."""
    user_logged_in.connect(_receive_login, dispatch_uid="django_jugpush.access.logins")


def login_id(request: HttpRequest, user: Any) -> str | None:
    """
    Return the id of the login of ``user``, who is signed in; make one for a login that has none.

    None if the request has no session: the user was recognized by other means than a login.
    """
    session: SessionBase | None = getattr(request, "session", None)
    return None if session is None else _ensure(session, user)


def fingerprint(user: Any) -> str:
    """Return a keyed digest of the user's password and flags: a grant with another one is out of date."""
    state = repr([user.password, user.is_active, getattr(user, "is_staff", None), getattr(user, "is_superuser", None)])
    return hmac.digest(derived_keys("fingerprint")[0], state.encode(), hashlib.sha256)[:8].hex()


def _receive_login(sender: object, request: HttpRequest | None = None, user: Any = None, **kwargs: Any) -> None:
    if request is not None and user is not None:
        login_id(request, user)


def _ensure(session: SessionBase, user: Any) -> str:
    owner = str(user.pk)
    match session.get(LOGIN_KEY):
        case [str() as login, str() as stored_owner] if stored_owner == owner:
            return login
    # What an anonymous session holds survives a login: an id that belongs to nobody or to somebody else is no id.
    login = secrets.token_urlsafe(16)
    session[LOGIN_KEY] = [login, owner]
    return login
