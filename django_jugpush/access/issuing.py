"""
Tokens for clients that no template serves: single-page applications, Django REST framework, mobile apps.

A view of the project gives them out, after it has found out in its own way who asks.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Model

from django_jugpush import declarations
from django_jugpush.core.channels import check_name, is_reserved
from django_jugpush.declarations import Channel
from django_jugpush.exceptions import SubscriptionDenied
from django_jugpush.targets import Target, channel_name, user_channel

from .bearers import Bearer, bearer_of, http_request
from .logins import visitor_id
from .tokens import TOKEN_TTL, make_connection_token, make_public_token, make_subscription_token

__all__ = ["connection_token", "session_channel", "subscription_token"]


def connection_token(request_or_user: Any, *, login: str | None = None, lifetime: float = TOKEN_TTL) -> str:
    """
    Return a token that says to the push server who its bearer is; the channels' rules decide what that opens.

    Give the request of a view that has authenticated its user, also one of Django REST framework; or the user, if there
    is no request. None and an ``AnonymousUser`` stand for a visitor. The token is bound to the session's login, if it
    was a session by which the user was recognized.

    Args:
        request_or_user: Who asks.
        login: A name for the login in the place of the session's, such as a device's, for :func:`revoke`.
        lifetime: Seconds within which it must be presented; twelve hours at most.
    """
    now = time.time()
    return make_connection_token(
        now=now, lifetime=lifetime, **bearer_of(request_or_user, now=now, login=login).identity
    )


def subscription_token(
    request_or_user: Any,
    to: Target,
    *,
    login: str | None = None,
    lifetime: float = TOKEN_TTL,
    grant: bool = False,
) -> str:
    """
    Return a token that lets its bearer listen to one channel, as the template tag makes one.

    Where a :func:`channel` has a rule for the name, the rule decides, here and at each renewal. An instance, a declared
    channel and the bearer's own user are granted otherwise; text is not, since a visitor may have chosen it.

    Args:
        request_or_user: Who asks, as for :func:`connection_token`.
        to: What stands for one channel.
        login: As for :func:`connection_token`.
        lifetime: As for :func:`connection_token`.
        grant: Vouch for a name that is text and has no rule.

    Raises:
        SubscriptionDenied: If the user may not listen.
        InvalidChannel: If it is no channel's name.
        TypeError: If ``to`` stands for no channel.
    """
    now = time.time()
    bearer = bearer_of(request_or_user, now=now, login=login)
    name = channel_name(to)
    matches = declarations.find_for_instance(to, name) if isinstance(to, Model) else declarations.find(name)
    if declarations.is_public(matches):
        return make_public_token(name)
    decisive = declarations.rules(matches)
    for declared, values in decisive:
        if not declared.allows(bearer.user, values):
            raise SubscriptionDenied(f"the rule of {declared.pattern!r} says no to {name!r}")
    if not decisive and not _is_granted(bearer, to, name, vouched=grant):
        raise SubscriptionDenied(f"{declarations.explain(name)}; to vouch for it as it is, say grant=True")
    granted_by = "authorizer" if decisive else "page"
    return make_subscription_token(name, granted_by=granted_by, now=now, lifetime=lifetime, **bearer.identity)


def session_channel(request: Any, *, create: bool = False) -> str | None:
    """
    Return the name of the channel of the visitor's session: ``session:`` and a random id.

    With it something can be told to a visitor who is not signed in. It becomes another when somebody signs in. For a
    visitor who has no session it is None, so that no robot fills the table of sessions.

    Args:
        request: Of the visitor.
        create: Begin a session for a visitor who has none, which sets a cookie.
    """
    session: SessionBase | None = getattr(http_request(request), "session", None)
    if session is None:
        return None
    if session.is_empty() and not create:
        return None
    return check_name(f"session:{visitor_id(session)}")


def _is_granted(bearer: Bearer, to: Any, name: str, *, vouched: bool) -> bool:
    is_object = isinstance(to, Model | Channel)
    if is_reserved(name):
        return is_object and bearer.is_signed_in and user_channel(bearer.user) == name
    return vouched or is_object
