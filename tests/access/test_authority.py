from __future__ import annotations

import time

import pytest

from django_jugpush import channel
from django_jugpush.access.authority import authorize
from django_jugpush.access.tokens import make_public_token, make_subscription_token
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidChannel, InvalidToken, SubscriptionDenied, TokenExpired


def token(name, **claims):
    return make_subscription_token(name, **{"granted_by": "page", "now": time.time(), **claims})


def test_public_channel_needs_no_token():
    """What is declared public is open to everybody, and the grant has no end."""
    channel("room:<slug:x>", public=True)
    for nothing in (None, ""):
        assert authorize("room:lobby", nothing) == Grant(channel="room:lobby", namespace="jugpush")


def test_token_opens_a_channel_that_nothing_declares():
    """The template was the authorization."""
    assert authorize("orders", token("orders")).granted_by == "page"


@pytest.mark.parametrize("name", ["orders", "room:a:b", "room:secret", "user:1", "__proto__", "constructor"])
def test_without_a_token_everything_else_is_denied(name):
    """Deny by default: undeclared, guarded, doubly declared and reserved names."""
    channel("room:<slug:x>", public=True)
    channel("room:secret", lambda user: True)
    with pytest.raises(SubscriptionDenied):
        authorize(name, None)


def test_refusal_names_the_nearest_pattern_under_debug(settings):
    """The developer reads what is declared; a flood of refusals in production costs no search."""
    channel("banner", public=True)
    with pytest.raises(SubscriptionDenied, match="not public") as refusal:
        authorize("baner", None)
    assert "'banner'" not in refusal.value.detail
    settings.DEBUG = True
    with pytest.raises(SubscriptionDenied, match="'banner'"):
        authorize("baner", None)


def test_bad_token_is_refused_on_a_public_channel_too():
    """A token that is not right is never ignored."""
    channel("banner", public=True)
    with pytest.raises(InvalidToken):
        authorize("banner", "forged")


def test_token_of_a_time_when_the_channel_was_public_opens_nothing():
    """Nor is it asked whether a visitor may."""
    channel("banner", lambda user: True)
    for name in ("banner", "orders"):
        with pytest.raises(InvalidToken, match="was public"):
            authorize(name, make_public_token(name))


def test_expired_token_has_its_own_exception():
    """The client learns that the page is too old."""
    with pytest.raises(TokenExpired):
        authorize("orders", token("orders", now=time.time() - 100_000))


@pytest.mark.parametrize("name", ["", "a\n", "x" * 10_000, "\u202e", "e\u0301"])
def test_impossible_name_is_told_apart(name):
    """The name is checked before anything else is."""
    with pytest.raises(InvalidChannel):
        authorize(name, "x")
