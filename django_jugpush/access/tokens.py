"""
Subscription tokens: what the tag writes into a page and the push server verifies.

A token is signed, not encrypted: ``base64(JSON of the claims):signature``. The claims have one-letter names, since
every element of a page carries them; :class:`Claims` says what they mean.
"""

from __future__ import annotations

import msgspec
from django.core import signing

from django_jugpush.conf import derived_keys, get_config, get_namespace, is_namespace
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidToken, TokenExpired

__all__ = [
    "LIFETIME",
    "MAX_TOKEN_BYTES",
    "Claims",
    "make_public_token",
    "make_subscription_token",
    "verify_subscription_token",
]

VERSION = 1

LIFETIME = 12 * 60 * 60
"""Seconds for which a page's token is good, unless its session ends before."""

MAX_TOKEN_BYTES = 1024
"""A longer token is refused before it is hashed, which would take time that grows with its length."""

LEEWAY = 30
"""Seconds by which the clocks of two machines may differ."""

SALT = "jugpush.subscription"


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a subscription token says."""

    v: int
    """Version of this format."""

    a: str
    """The namespace: tokens of another project, tenant or stage are foreign."""

    c: str
    """The channel."""

    u: str | None = None
    """The user's primary key as text; absent for a visitor who is not signed in."""

    l: str | None = None  # noqa: E741 - the claim's name
    """The login id."""

    k: str | None = None
    """The user's fingerprint."""

    g: str
    """``page``: the template granted it. ``authorizer``: the channel's rule did. ``public``: nobody had to."""

    i: int = 0
    """Issued at; this and what follows is absent of public channels."""

    e: int = 0
    """To be presented until."""

    n: int = 0
    """As a grant of a page, not renewable after."""

    s: int = 0
    """The subscription lasts until."""

    f: float = 0
    """The earliest time whose publications may be read."""


def make_subscription_token(
    channel: str,
    *,
    granted_by: str,
    now: float,
    history_from: float | None = None,
    user: str | None = None,
    login: str | None = None,
    fingerprint: str | None = None,
    lifetime: float = LIFETIME,
) -> str:
    """
    Return a token that lets its bearer listen to ``channel`` for ``lifetime`` seconds, ``LIFETIME`` at most.

    What was published before ``history_from`` it does not open; by default, what was before ``now``.
    """
    issued = int(now)
    until = issued + int(min(lifetime, LIFETIME))
    claims = Claims(
        v=VERSION,
        a=get_namespace(),
        c=channel,
        u=user,
        l=login,
        k=fingerprint,
        g=granted_by,
        i=issued,
        e=until,
        n=issued + LIFETIME,
        s=until,
        f=round(now if history_from is None else history_from, 3),
    )
    return _sign(claims)


def make_public_token(channel: str) -> str:
    """
    Return a token that says in which namespace a public channel is meant.

    It is bound to nobody and the same at all times, so a page that has it can be cached as any other.
    """
    return _sign(Claims(v=VERSION, a=get_namespace(), c=channel, g="public"))


def verify_subscription_token(token: str, channel: str, *, now: float) -> Grant:
    """
    Return what ``token`` grants, if it is genuine, of this project, in time, and for ``channel``.

    Of a public channel's token the caller has yet to say whether the channel still is one.

    Raises:
        TokenExpired: If only its time is over.
        InvalidToken: If anything else is wrong with it.
    """
    claims = _read(token)
    if claims.v != VERSION or not _is_ours(claims.a):
        raise InvalidToken("the token is of another version or namespace")
    if claims.c != channel:
        raise InvalidToken(f"the token is for the channel {claims.c!r}, not for {channel!r}")
    if claims.g == "public":
        return Grant(channel=claims.c, namespace=claims.a)
    if claims.i > now + LEEWAY:
        raise InvalidToken("the token was issued in the future: the clocks of two machines differ")
    if now > claims.e + LEEWAY:
        raise TokenExpired(f"the token expired {int(now - claims.e)} seconds ago: the page is older than that")
    return Grant(
        channel=claims.c,
        namespace=claims.a,
        user=claims.u,
        login=claims.l,
        fingerprint=claims.k,
        granted_by=claims.g,
        history_from=claims.f,
        expires=claims.s,
    )


def _is_ours(namespace: str) -> bool:
    """A server of several tenants knows none of them; that the token is signed by this project has to do."""
    config = get_config()
    return is_namespace(namespace) if config.has_tenants else namespace == config.NAMESPACE


def _sign(claims: Claims) -> str:
    return _signer().sign(signing.b64_encode(msgspec.json.encode(claims)).decode())


def _read(token: str) -> Claims:
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("the token is too long")
    try:
        payload = signing.b64_decode(_signer().unsign(token).encode())
        return msgspec.json.decode(payload, type=Claims)
    except (signing.BadSignature, msgspec.MsgspecError, ValueError) as error:
        raise InvalidToken("the token's signature is not ours") from error


def _signer() -> signing.Signer:
    keys = derived_keys("subscription")
    return signing.Signer(key=keys[0], salt=SALT, fallback_keys=list(keys[1:]))
