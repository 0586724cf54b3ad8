"""
What a page may listen to: the rules by which the template tag signs tokens.

* Text that stands in the template is granted: the template is the authorization. Text from a variable may be what a
  visitor typed, so it needs a declared channel whose rule says yes.
* A model instance stands for its one channel, never for what ``ModelPush.channels()`` returns.
* A user stands for the user's own channel, and must be the one who is looking.
* Wherever a declared channel has a rule, its no wins.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest

from django_jugpush import declarations
from django_jugpush.conf import derived_keys, get_config, get_namespace
from django_jugpush.core.channels import is_reserved
from django_jugpush.core.positions import Position
from django_jugpush.declarations import Channel, Match
from django_jugpush.exceptions import InvalidChannel, SubscriptionDenied
from django_jugpush.targets import channel_name

from .bearers import bearer_of
from .logins import LOGIN_KEY, stored_login
from .moments import moment_of, started_at
from .tokens import MAX_AFTER, make_connection_token, make_public_token, make_subscription_token

__all__ = [
    "PRIVATE",
    "RENEW_HEADER",
    "LiteralName",
    "Nothing",
    "PageSubscription",
    "Visitor",
    "page_subscriptions",
    "visitor",
]

logger = logging.getLogger("django_jugpush.access")


RENEW_HEADER = "X-Juggernaut-Renew"
"""Sent by a client that fetches its page again: the ids of what made that necessary, separated by commas."""

PRIVATE = "_jugpush_private"
"""The attribute of a request whose page is one visitor's."""

_AFTER = re.compile(r"[0-9A-Za-z_-]{8}")


class LiteralName(str):
    """A channel name that stands in the template itself, so that no visitor can have chosen it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """What stands for an expression of the template that came to nothing."""

    expression: str
    """As the template writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSubscription:
    """A channel that a page asked for: with a token, without one because it is public, or refused."""

    channel: str
    since: str | None = None
    """The position from which on the page is told what is published."""
    token: str | None = None
    is_private: bool = False
    """Whether the token is this visitor's alone."""

    is_public: bool = False

    denied: str | None = None
    """Why it was refused, for the developer."""


def page_subscriptions(request: HttpRequest, arguments: Sequence[Any]) -> list[PageSubscription]:
    """
    Decide about what the tag was given; without arguments, about the signed-in user's own channel.

    A page that gets a token is kept out of Django's caches, and varies by cookie.

    Raises:
        SubscriptionDenied: If an argument is a user, but not the one who is looking.
        TypeError: If an argument is nothing that stands for a channel.
    """
    given = _flatten(arguments or filter(None, [getattr(request, "user", None)]))
    since = moment_of(request)
    found = [_subscription(request, to, since) for to in given if not _is_visitor(to)]
    for subscription in found:
        if subscription.denied:
            logger.log(logging.WARNING if settings.DEBUG else logging.INFO, "Not subscribed: %s.", subscription.denied)
    if any(subscription.is_private for subscription in found):
        _keep_private(request)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What the client is told of whoever looks at the page."""

    token: str | None = None
    """The connection token of a user who is signed in."""

    identity: str = ""
    """The same for all pages of one login, and no other's; empty for a visitor who is not signed in."""


def visitor(request: HttpRequest) -> Visitor:
    """Return what the client is told of the visitor; for a user who is signed in the page is kept out of caches."""
    now = time.time()
    bearer = bearer_of(request, now=now)
    if not bearer.is_signed_in:
        return Visitor()
    _keep_private(request)
    claims = bearer.identity
    text = f"{get_namespace()}\0{claims['user']}\0{claims['login']}"
    identity = hmac.digest(derived_keys("identity")[0], text.encode(), hashlib.sha256)[:8].hex()
    return Visitor(token=make_connection_token(now=now, **claims), identity=identity)


def _flatten(arguments: Iterable[Any]) -> Iterator[Any]:
    for argument in arguments:
        if isinstance(argument, list | tuple | set | frozenset):
            yield from (to for to in argument if to is not None)
        else:
            yield argument


def _is_visitor(to: Any) -> bool:
    return getattr(to, "is_anonymous", False) is True


def _subscription(request: HttpRequest, to: Any, since: Position) -> PageSubscription:
    if isinstance(to, Nothing):
        return PageSubscription(channel="", denied=f"{to.expression!r} is empty or does not exist")
    try:
        name, matches, vouched = _named(request, to)
    except InvalidChannel as error:
        return PageSubscription(channel="", denied=str(error).rstrip("."))
    if declarations.is_public(matches):
        token = make_public_token(name) if get_config().has_tenants else None
        return PageSubscription(channel=name, since=str(since), token=token, is_public=True)
    decisive = declarations.rules(matches)
    if not decisive:
        if vouched:
            return _granted(request, name, "page", since)
        return PageSubscription(channel=name, denied=_unvouched(name))
    for declared, values in decisive:
        if not declared.allows(getattr(request, "user", None), values):
            return PageSubscription(channel=name, denied=f"the rule of {declared.pattern!r} says no to {name!r}")
    return _granted(request, name, "authorizer", since)


def _granted(request: HttpRequest, name: str, granted_by: str, since: Position) -> PageSubscription:
    token = _token(request, name, granted_by, since)
    return PageSubscription(channel=name, since=str(since), token=token, is_private=True)


def _named(request: HttpRequest, to: Any) -> tuple[str, list[Match], bool]:
    """Return the channel's name, what is declared about it, and whether the template's author vouches for the name."""
    if to is None or to == "":
        raise InvalidChannel("", "an argument is empty, or a variable that does not exist")
    name = channel_name(to)
    if not isinstance(to, Model):
        is_literal = isinstance(to, LiteralName) and not is_reserved(name)
        is_vouched = is_literal or isinstance(to, Channel) or _is_own_session(request, name)
        return name, declarations.find(name), is_vouched
    if is_reserved(name):
        _require_own(request, to)
        return name, [], True
    return name, declarations.find_for_instance(to, name), True


def _is_own_session(request: HttpRequest, name: str) -> bool:
    """Tell whether it is what ``session_channel()`` says of this request, which no other visitor can know."""
    if not name.startswith("session:"):
        return False
    stored = stored_login(getattr(request, "session", {}))
    return stored is not None and name == f"session:{stored[0]}"


def _require_own(request: HttpRequest, user: Model) -> None:
    looking = getattr(request, "user", None)
    if looking is None or looking.pk != user.pk:
        raise SubscriptionDenied(
            "juggernaut_subscribe was given a user who is not request.user: it would open that user's own channel. "
            "To follow what a user does, publish to a channel of its own"
        )


def _unvouched(name: str) -> str:
    if is_reserved(name):
        return declarations.explain(name)
    return f"{declarations.explain(name)}; a name from a variable needs a channel() whose rule says yes"


def _token(request: HttpRequest, name: str, granted_by: str, since: Position) -> str:
    now = time.time()
    return make_subscription_token(
        name,
        granted_by=granted_by,
        now=now,
        issued=started_at(request),  # what the template goes by may have been read then
        history_from=since.ms / 1000,  # or the page would ask for what its own token does not open
        after=_after(request),
        **bearer_of(request, now=now).identity,
    )


def _after(request: HttpRequest) -> list[str]:
    ids = request.headers.get(RENEW_HEADER, "").split(",")
    return [id.strip() for id in ids if _AFTER.fullmatch(id.strip())][-MAX_AFTER:]


def _keep_private(request: HttpRequest) -> None:
    # django.middleware.cache asks for this attribute, in cache_page too.
    request._cache_update_cache = False  # type: ignore[attr-defined]
    setattr(request, PRIVATE, True)
    if (session := getattr(request, "session", None)) is not None:
        session.get(LOGIN_KEY)  # reading it, and not only its key, is what gives the response Vary: Cookie
