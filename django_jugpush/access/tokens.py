"""
Tokens: what the tag writes into a page, what a project gives its own clients, and what the push server gives its.

A token is signed, not encrypted: ``<purpose>.<base64 of the claims' JSON>:<signature>``, each purpose with a key of its
own. The claims have one-letter names, since every element of a page carries them; :class:`Claims` says what they mean.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import msgspec
from django.core import signing

from django_jugpush.conf import derived_keys, get_config, get_namespace, is_namespace
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidToken, TokenExpired

__all__ = [
    "MAX_TOKEN_BYTES",
    "PAGE_GRANT_MAX",
    "SUBSCRIPTION_TTL",
    "TOKEN_TTL",
    "Claims",
    "make_connection_token",
    "make_public_token",
    "make_resume_token",
    "make_subscription_token",
    "prolonged",
    "verify_token",
]

VERSION = 1

TOKEN_TTL = 5 * 60
"""Seconds within which a token that was handed out must be presented."""

SUBSCRIPTION_TTL = 60 * 60
"""Seconds that a subscription lasts before it is renewed, and a resume token."""

PAGE_GRANT_MAX = 12 * 60 * 60
"""Seconds for which the push server renews what a page granted. Then the page must be rendered again."""

MAX_TOKEN_BYTES = 1024
"""A longer token is refused before it is hashed, which would take time that grows with its length."""

LEEWAY = 30
"""Seconds by which the clocks of two machines may differ."""

MAX_AFTER = 4
"""How many re-authorizations a token names at most."""

Purpose = Literal["subscription", "resume", "connection"]

_PREFIXES: dict[Purpose, str] = {"subscription": "s.", "resume": "r.", "connection": "c."}


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says."""

    v: int
    """Version of this format."""

    a: str
    """The namespace: tokens of another project, tenant or stage are foreign."""

    c: str = ""
    """The channel; absent of a connection token."""

    u: str | None = None
    """The user's primary key as text; absent for a visitor who is not signed in."""

    l: str | None = None  # noqa: E741 - the claim's name
    """The login id."""

    k: str | None = None
    """The user's fingerprint."""

    g: str = ""
    """``page``: the template granted it. ``authorizer``: the channel's rule did. ``public``: nobody had to."""

    i: float = 0
    """When it was granted; this and what follows is absent of public channels."""

    e: int = 0
    """To be presented until."""

    n: int = 0
    """As a grant of a page, not renewable after."""

    s: int = 0
    """When the login ends."""

    f: float = 0
    """The earliest time whose publications may be read."""

    r: tuple[str, ...] = ()
    """Ids of re-authorizations that the grant came after."""


def make_subscription_token(
    channel: str,
    *,
    granted_by: str,
    now: float,
    history_from: float | None = None,
    user: str | None = None,
    login: str | None = None,
    fingerprint: str | None = None,
    lifetime: float = TOKEN_TTL,
    ends: float | None = None,
    issued: float | None = None,
    after: Sequence[str] = (),
) -> str:
    """
    Return a token that lets its bearer listen to ``channel``.

    Args:
        granted_by: ``page`` or ``authorizer``.
        lifetime: Seconds within which it must be presented.
        ends: When the login ends; after :data:`PAGE_GRANT_MAX` at the latest.
        issued: When it was decided; by default ``now``.
        history_from: What was published before it does not open; by default ``now``.
        after: What the page was rendered again for.
    """
    claims = _bound_claims(user, login, fingerprint, lifetime=lifetime, ends=ends, now=now)
    return _sign(
        "subscription",
        msgspec.structs.replace(
            claims,
            c=channel,
            g=granted_by,
            i=round(now if issued is None else issued, 3),
            n=int(now) + PAGE_GRANT_MAX,
            f=round(now if history_from is None else history_from, 3),
            r=tuple(after)[-MAX_AFTER:],
        ),
    )


def make_connection_token(
    *,
    now: float,
    user: str | None = None,
    login: str | None = None,
    fingerprint: str | None = None,
    lifetime: float = TOKEN_TTL,
    ends: float | None = None,
) -> str:
    """Return a token that says who its bearer is, so that the channels' rules can be asked about that user."""
    return _sign("connection", _bound_claims(user, login, fingerprint, lifetime=lifetime, ends=ends, now=now))


def make_public_token(channel: str) -> str:
    """
    Return a token that says in which namespace a public channel is meant.

    It is bound to nobody and the same at all times, so a page that has it can be cached as any other.
    """
    return _sign("subscription", Claims(v=VERSION, a=get_namespace(), c=channel, g="public"))


def make_resume_token(grant: Grant) -> str:
    """Return a token that brings a running subscription back after its connection broke, without asking anybody."""
    assert None not in (grant.issued, grant.expires, grant.ends)
    return _sign(
        "resume",
        Claims(
            v=VERSION,
            a=grant.namespace,
            c=grant.channel,
            u=grant.user,
            l=grant.login,
            k=grant.fingerprint,
            g=grant.granted_by,
            i=grant.issued or 0,
            e=int(grant.expires or 0),
            n=int(grant.renewable_until or 0),
            s=int(grant.ends or 0),
            f=grant.history_from or 0,
            r=grant.after,
        ),
    )


def verify_token(token: str, channel: str, *, now: float) -> Grant:
    """
    Return what ``token`` grants, if it is genuine, of this project, in time, and for ``channel``.

    Of a public channel's token the caller has yet to say whether the channel still is one. A connection token grants
    nothing: what comes of it has an empty ``granted_by``.

    Raises:
        TokenExpired: If only its time is over.
        InvalidToken: If anything else is wrong with it.
    """
    purpose, claims = _read(token)
    if claims.v != VERSION or not _is_ours(claims.a):
        raise InvalidToken("the token is of another version or namespace")
    if purpose != "connection" and claims.c != channel:
        raise InvalidToken(f"the token is for the channel {claims.c!r}, not for {channel!r}")
    if claims.g == "public":
        return Grant(channel=claims.c, namespace=claims.a)
    if claims.i > now + LEEWAY:
        raise InvalidToken("the token was issued in the future: the clocks of two machines differ")
    if now > claims.e + LEEWAY:
        raise TokenExpired(f"the token expired {int(now - claims.e)} seconds ago: the page is older than that")
    grant = Grant(
        channel=channel,
        namespace=claims.a,
        user=claims.u,
        login=claims.l,
        fingerprint=claims.k,
        granted_by=claims.g,
        issued=claims.i,
        after=claims.r,
        history_from=claims.f or None,
        renewable_until=claims.n or None,
        ends=claims.s,
    )
    return prolonged(grant, now=now, until=claims.e if purpose == "resume" else now + SUBSCRIPTION_TTL)


def prolonged(grant: Grant, *, now: float, until: float) -> Grant:
    """Return the grant as it lasts until then, or as long as the login; renewed at a moment that others do not have."""
    expires = min(until, grant.ends or until)
    return replace(grant, expires=expires, renew_at=now + (expires - now) * random.uniform(0.6, 0.9))


def _bound_claims(
    user: str | None,
    login: str | None,
    fingerprint: str | None,
    *,
    lifetime: float,
    ends: float | None,
    now: float,
) -> Claims:
    # An age says when a session would end if it were saved at this moment. Perhaps it was saved long ago.
    end = int(min(now + PAGE_GRANT_MAX, math.inf if ends is None else ends))
    return Claims(
        v=VERSION,
        a=get_namespace(),
        u=user,
        l=login,
        k=fingerprint,
        i=round(now, 3),
        e=min(int(now + min(lifetime, PAGE_GRANT_MAX)), end),
        s=end,
    )


def _is_ours(namespace: str) -> bool:
    """A server of several tenants knows none of them; that the token is signed by this project has to do."""
    config = get_config()
    return is_namespace(namespace) if config.has_tenants else namespace == config.NAMESPACE


def _sign(purpose: Purpose, claims: Claims) -> str:
    payload = signing.b64_encode(msgspec.json.encode(claims)).decode()
    return _signer(purpose).sign(f"{_PREFIXES[purpose]}{payload}")


def _read(token: str) -> tuple[Purpose, Claims]:
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("the token is too long")
    for purpose, prefix in _PREFIXES.items():
        if token.startswith(prefix):
            return purpose, _verified(purpose, token)
    raise InvalidToken("it is no token of ours")


def _verified(purpose: Purpose, token: str) -> Claims:
    try:
        payload = _signer(purpose).unsign(token).partition(".")[2]
        return msgspec.json.decode(signing.b64_decode(payload.encode()), type=Claims)
    except (signing.BadSignature, msgspec.MsgspecError, ValueError) as error:
        raise InvalidToken("the token's signature is not ours") from error


def _signer(purpose: Purpose) -> signing.Signer:
    keys = derived_keys(purpose)
    return signing.Signer(key=keys[0], salt=f"jugpush.{purpose}", fallback_keys=list(keys[1:]))
