"""Who a token is made for: the claims that stand for a user, taken from a request or from a user alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from .logins import fingerprint, is_signed_in, login_id, named_login

__all__ = ["Bearer", "Identity", "bearer_of", "is_request"]


class Identity(TypedDict):
    """The claims, as the makers of tokens take them."""

    user: str | None
    login: str | None
    fingerprint: str | None
    ends: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Somebody who asks for a token."""

    user: Any = None
    """As the project knows it; an ``AnonymousUser`` or None for a visitor."""

    login: str | None = None

    ends: float | None = None
    """When the login ends by itself: seconds since 1970; None if it says nothing of that."""

    @property
    def is_signed_in(self) -> bool:
        """Whether there is a user."""
        return self.user is not None and bool(self.user.is_authenticated)

    @property
    def identity(self) -> Identity:
        """What a token says of the bearer."""
        if not self.is_signed_in:
            return Identity(user=None, login=None, fingerprint=None, ends=None)
        return Identity(user=str(self.user.pk), login=self.login, fingerprint=fingerprint(self.user), ends=self.ends)


def bearer_of(source: Any, *, now: float, login: str | None = None) -> Bearer:
    """
    Return who asks.

    Args:
        source: A request, also of Django REST framework, or a user. Of a request it is the user whom the view sees,
            and the login of the session if it was that by which the user was recognized.
        login: A name for the login, in the place of the session's.
    """
    user = getattr(source, "user", None) if is_request(source) else source
    if login is not None:
        return Bearer(user=user, login=named_login(str(getattr(user, "pk", None)), login))
    session: SessionBase | None = getattr(http_request(source), "session", None)
    if session is None or not is_signed_in(session, user):
        return Bearer(user=user)
    return Bearer(user=user, login=login_id(session, user), ends=now + session.get_expiry_age())


def is_request(source: Any) -> bool:
    """Tell a request from a user."""
    return isinstance(http_request(source), HttpRequest)


def http_request(request: Any) -> Any:
    """Return Django's request from under the one that Django REST framework wraps around it."""
    return getattr(request, "_request", request)
