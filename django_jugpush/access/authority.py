"""
The push server's questions: may this connection listen to this channel, and may it still?

:func:`authorize` answers on the event loop, so it asks no database: a token says it, or that the channel is public.
:func:`ask` runs in a thread of its own and asks whoever can tell.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import close_old_connections, router
from django.utils.module_loading import import_string

from django_jugpush import declarations
from django_jugpush.conf import get_config
from django_jugpush.core.channels import check_name
from django_jugpush.core.grants import Grant, Question
from django_jugpush.exceptions import InvalidChannel, InvalidToken, SubscriptionDenied, TokenExpired
from django_jugpush.targets import user_channel

from .logins import fingerprints
from .tokens import SUBSCRIPTION_TTL, prolonged, verify_token

__all__ = ["ask", "authorize", "can_enter", "inside", "load_user", "renew_unasked"]

_NO_TENANT = "the channel is public, but the token is missing by which juggernaut_subscribe says of which tenant it is"
_NO_WAY_IN = "JUGPUSH['IN_NAMESPACE'] does not say how to enter a tenant, so no rule can be asked"


def authorize(channel: str, token: str | None) -> Grant | Question:
    """
    Return what opens ``channel``: the token, or that it is public. Asks no database and no cookie.

    A connection token only says who asks; then the answer is a question.

    Raises:
        InvalidChannel: If ``channel`` is not a channel name.
        InvalidToken, TokenExpired: If the token does not open it.
        SubscriptionDenied: If there is no token and the channel is not public.
    """
    check_name(channel)
    grant = verify_token(token, channel, now=time.time()) if token else None
    if grant and grant.granted_by not in ("public", ""):
        return grant
    if declarations.is_public(declarations.find(channel)):
        return _public(grant, channel)
    if grant and grant.is_public:
        raise InvalidToken(f"the token is of a time when {channel!r} was public")
    if grant:
        return Question(grant=grant, reason="connection")
    # Looking for the nearest pattern takes longer than all the rest, and anybody can ask for it as often as he likes.
    known = declarations.explain(channel) if settings.DEBUG else "the channel is not public"
    raise SubscriptionDenied(f"there is no token, and {known}")


def renew_unasked(grant: Grant, *, now: float) -> Grant | None:
    """
    Return the grant as it goes on, where nobody has to be asked: a page's to a visitor who is not signed in.

    Raises:
        TokenExpired: If it cannot go on: the page must be rendered again.
    """
    _require_time(grant, now)
    is_ruled = bool(declarations.rules(declarations.find(grant.channel)))
    if grant.user is not None or grant.granted_by != "page" or is_ruled:
        return None
    return _as_page_grant(grant, now)


def ask(question: Question, *, after: str) -> Grant:
    """
    Return what the answer to a question grants. Reads from the primary database, in the grant's namespace.

    Args:
        after: The id of the newest re-authorization that was known before the question was asked.

    Raises:
        SubscriptionDenied: If the answer is no.
        TokenExpired: If only a page that is rendered again can answer.
        Exception: What an authorizer or the database raises.
    """
    grant, now = question.grant, time.time()
    if question.reason != "connection":
        _require_time(grant, now)
    if not can_enter():
        raise SubscriptionDenied(_NO_WAY_IN) if question.reason == "connection" else TokenExpired(_NO_WAY_IN)
    close_old_connections()
    try:
        with inside(grant.namespace):
            user = load_user(grant)
            return _decided(question, user, after=(after,) if after else (), now=now)
    finally:
        close_old_connections()


def load_user(grant: Grant) -> Any:
    """
    Return the user whom a grant names, if the login that it was given to can still be one.

    Raises:
        SubscriptionDenied: If there is no such user, or it is not active.
        TokenExpired: If password or flags have changed since: whether the login still counts, only the site can tell.
    """
    if grant.user is None:
        from django.contrib.auth.models import AnonymousUser

        return AnonymousUser()
    model = get_user_model()
    try:
        user = model._base_manager.using(router.db_for_write(model)).filter(pk=grant.user).first()
    except (ValueError, ValidationError):
        user = None
    if user is None or not user.is_active:
        raise SubscriptionDenied("the user is gone, or not active")
    if grant.fingerprint not in fingerprints(user):
        raise TokenExpired("the user's password or flags have changed")
    return user


def can_enter() -> bool:
    """Tell whether the rules and the database of each namespace can be asked here."""
    return not get_config().has_tenants or get_config().IN_NAMESPACE is not None


def inside(namespace: str) -> contextlib.AbstractContextManager[Any]:
    """
    Return the context manager in which the work of a tenant is done; it does nothing where there are none.

    Ask :func:`can_enter` first.
    """
    config = get_config()
    if not config.has_tenants:
        return contextlib.nullcontext()
    assert config.IN_NAMESPACE is not None
    entered: contextlib.AbstractContextManager[Any] = import_string(config.IN_NAMESPACE)(namespace)
    return entered


def _decided(question: Question, user: Any, *, after: tuple[str, ...], now: float) -> Grant:
    grant = question.grant
    matches = declarations.find(grant.channel)
    decisive = declarations.rules(matches)
    if declarations.is_public(matches):
        return Grant(channel=grant.channel, namespace=grant.namespace)
    if not decisive:
        return _undeclared(question, user, after=after, now=now)
    for declared, values in decisive:
        if not declared.decide(user, values):
            raise SubscriptionDenied(f"the rule of {declared.pattern!r} says no to {grant.channel!r}")
    return _as_rules_grant(grant, after, now)


def _undeclared(question: Question, user: Any, *, after: tuple[str, ...], now: float) -> Grant:
    """Decide about a channel without a rule: the template was its authorization."""
    grant = question.grant
    if _is_own_channel(user, grant.channel):
        return _as_rules_grant(grant, after, now)
    if question.reason == "connection":
        raise SubscriptionDenied(declarations.explain(grant.channel))
    if grant.granted_by == "page" and question.reason == "renewal":
        return _as_page_grant(grant, now)
    raise TokenExpired("the page granted it: it must be rendered again")


def _is_own_channel(user: Any, channel: str) -> bool:
    """Tell whether it is the private channel of this user, which no change of rights can take away."""
    try:
        return bool(user.is_authenticated) and user_channel(user) == channel
    except (InvalidChannel, TypeError):
        return False


def _as_rules_grant(grant: Grant, after: tuple[str, ...], now: float) -> Grant:
    granted = replace(
        grant,
        granted_by="authorizer",
        issued=now,
        after=after,
        history_from=grant.history_from or now,
    )
    return prolonged(granted, now=now, until=now + SUBSCRIPTION_TTL)


def _as_page_grant(grant: Grant, now: float) -> Grant:
    until = min(now + SUBSCRIPTION_TTL, grant.renewable_until or now)
    return prolonged(grant, now=now, until=until)


def _require_time(grant: Grant, now: float) -> None:
    ends = [end for end in (grant.ends, grant.renewable_until if grant.granted_by == "page" else None) if end]
    # What is about to end anyway is not worth another token.
    if any(now >= end - 1 for end in ends):
        raise TokenExpired("the login or the page is too old")


def _public(grant: Grant | None, channel: str) -> Grant:
    config = get_config()
    if grant:
        return Grant(channel=channel, namespace=grant.namespace)
    if config.has_tenants:  # this process is in none of them
        raise SubscriptionDenied(_NO_TENANT)
    return Grant(channel=channel, namespace=config.NAMESPACE)
