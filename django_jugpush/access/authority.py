"""The push server's question: may this connection listen to this channel?"""

from __future__ import annotations

import time

from django.conf import settings

from django_jugpush import declarations
from django_jugpush.conf import get_config
from django_jugpush.core.channels import check_name
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidToken, SubscriptionDenied

from .tokens import verify_subscription_token

__all__ = ["authorize"]

_NO_TENANT = "the channel is public, but the token is missing by which juggernaut_subscribe says of which tenant it is"


def authorize(channel: str, token: str | None) -> Grant:
    """
    Return what opens ``channel``: the token, or that it is public. Asks no database and no cookie.

    Raises:
        InvalidChannel: If ``channel`` is not a channel name.
        InvalidToken, TokenExpired: If the token does not open it.
        SubscriptionDenied: If there is no token and the channel is not public.
    """
    check_name(channel)
    grant = verify_subscription_token(token, channel, now=time.time()) if token else None
    if grant and grant.granted_by != "public":
        return grant
    if declarations.is_public(declarations.find(channel)):
        return grant or _grant_without_token(channel)
    if grant:
        raise InvalidToken(f"the token is of a time when {channel!r} was public")
    # Looking for the nearest pattern takes longer than all the rest, and anybody can ask for it as often as he likes.
    known = declarations.explain(channel) if settings.DEBUG else "the channel is not public"
    raise SubscriptionDenied(f"there is no token, and {known}")


def _grant_without_token(channel: str) -> Grant:
    config = get_config()
    if config.has_tenants:  # this process is in none of them
        raise SubscriptionDenied(_NO_TENANT)
    return Grant(channel=channel, namespace=config.NAMESPACE)
