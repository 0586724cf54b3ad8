"""The push server's question: may this connection listen to this channel?"""

from __future__ import annotations

import time

from django.conf import settings

from django_jugpush.core.channels import check_name
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import SubscriptionDenied

from . import channels
from .tokens import verify_subscription_token

__all__ = ["authorize"]


def authorize(channel: str, token: str | None) -> Grant:
    """
    Return what opens ``channel``: the token, or that it is public. Asks no database and no cookie.

    Raises:
        InvalidChannel: If ``channel`` is not a channel name.
        InvalidToken, TokenExpired: If the token does not open it.
        SubscriptionDenied: If there is no token and the channel is not public.
    """
    check_name(channel)
    if token:
        return verify_subscription_token(token, channel, now=time.time())
    matches = channels.find(channel)
    if channels.is_public(matches):
        return Grant(channel=channel)
    # Looking for the nearest pattern takes longer than all the rest, and anybody can ask for it as often as he likes.
    known = channels.explain(channel) if settings.DEBUG else "the channel is not public"
    raise SubscriptionDenied(f"there is no token, and {known}")
