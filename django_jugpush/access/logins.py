"""
What a token is bound to: the login id and the user's fingerprint.

The login id is random and kept in the session's data. ``session_key`` would not do: it changes at a login, at a change
of one's own password and after a rotation of ``SECRET_KEY``, and with signed cookies at every save.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Model

from django_jugpush.conf import derived_keys, get_namespace

__all__ = [
    "LOGIN_KEY",
    "WATCHED_FIELDS",
    "fingerprint",
    "fingerprints",
    "is_signed_in",
    "login_id",
    "named_login",
    "stored_login",
    "visitor_id",
]

LOGIN_KEY = "_jugpush_login"
"""The key in the session; the value is a list of the login id and the user's primary key as text, empty for nobody."""

WATCHED_FIELDS = ("password", "is_active", "is_staff", "is_superuser")
"""What of a user the fingerprint is made of."""


def login_id(session: SessionBase, user: Any) -> str:
    """Return the id of the login of ``user``, who is signed in by this session; make one for a login that has none."""
    return _ensure(session, str(user.pk))


def visitor_id(session: SessionBase) -> str:
    """Return the id of a session, whether somebody is signed in or not; make one if there is none."""
    return _ensure(session, str(session.get(SESSION_KEY, "")))


def named_login(user: str, name: str) -> str:
    """Return the login id that a project's own name for a login of this user stands for."""
    text = f"{get_namespace()}\0{user}\0{name}".encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:16]).decode().rstrip("=")


def stored_login(session: Any) -> tuple[str, str] | None:
    """Return the login id and its owner, if a session (or what it holds) has one."""
    match session.get(LOGIN_KEY):
        case [str() as login, str() as owner]:
            return login, owner
    return None


def is_signed_in(session: SessionBase, user: Any) -> bool:
    """
    Tell whether it is by this session that ``user`` is recognized.

    Others are recognized by a header of each request, and what is in the session is then none of theirs.
    """
    if not (isinstance(user, Model) and user.is_authenticated):  # type: ignore[attr-defined]
        return False
    return bool(session.get(SESSION_KEY) == user._meta.pk.value_to_string(user))


def fingerprint(user: Any) -> str:
    """Return a keyed digest of the user's password and flags: a grant with another one is out of date."""
    return fingerprints(user)[0]


def fingerprints(user: Any) -> tuple[str, ...]:
    """Return it by each key that tokens may still be signed with; the first is the newest."""
    state = repr([getattr(user, name, None) for name in WATCHED_FIELDS]).encode()
    return tuple(hmac.digest(key, state, hashlib.sha256)[:8].hex() for key in derived_keys("fingerprint"))


def _ensure(session: SessionBase, owner: str) -> str:
    stored = stored_login(session)
    # What an anonymous session holds survives a login: an id that belongs to nobody or to somebody else is no id.
    if stored and stored[1] == owner:
        return stored[0]
    login = secrets.token_urlsafe(16)
    session[LOGIN_KEY] = [login, owner]
    return login
