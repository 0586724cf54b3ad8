from __future__ import annotations

import msgspec
import pytest
from django.core import signing

from django_jugpush.access.tokens import (
    LEEWAY,
    LIFETIME,
    MAX_TOKEN_BYTES,
    make_subscription_token,
    verify_subscription_token,
)
from django_jugpush.conf import derived_keys
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidToken, TokenExpired

NOW = 1_800_000_000.25


def make(channel="order:7", **claims):
    return make_subscription_token(channel, **{"granted_by": "page", "now": NOW, **claims})


def payload(token):
    return msgspec.json.decode(signing.b64_decode(token.partition(":")[0].encode()))


def forged(claims, *, purpose="subscription", salt="jugpush.subscription"):
    """Sign any claims, as whoever holds a key of ours for ``purpose`` could."""
    text = signing.b64_encode(msgspec.json.encode(claims)).decode()
    return signing.Signer(key=derived_keys(purpose)[0], salt=salt, fallback_keys=[]).sign(text)


def test_grant_says_what_the_token_was_made_with():
    """Nothing is lost on the way from the page to the push server."""
    token = make(user="42", login="l" * 22, fingerprint="0011223344556677", granted_by="authorizer")
    assert verify_subscription_token(token, "order:7", now=NOW) == Grant(
        namespace="jugpush",
        channel="order:7",
        user="42",
        login="l" * 22,
        fingerprint="0011223344556677",
        granted_by="authorizer",
        history_from=NOW,
        expires=int(NOW) + LIFETIME,
    )


def test_claims_of_a_visitor_carry_no_identity():
    """The token of somebody who is not signed in names nobody."""
    assert set(payload(make())) == set("vacgiensf")


@pytest.mark.parametrize("position", [0, 10, -20, -1])
def test_token_with_one_character_changed_is_refused(position):
    """Payload and signature are both covered."""
    characters = list(make())
    characters[position] = "A" if characters[position] != "A" else "B"
    with pytest.raises(InvalidToken) as caught:
        verify_subscription_token("".join(characters), "order:7", now=NOW)
    assert not isinstance(caught.value, TokenExpired)


@pytest.mark.parametrize(
    "token", ["", ":", "x", "x:y", "é:é", "\ud800:x", "\0", "." + make.__name__, "a" * MAX_TOKEN_BYTES]
)
def test_what_is_no_token_is_refused(token):
    """Text of any kind is answered by one exception."""
    with pytest.raises(InvalidToken):
        verify_subscription_token(token, "order:7", now=NOW)


def test_huge_token_is_refused_before_it_is_hashed(monkeypatch):
    """The cost of a forged token does not grow with its length."""
    monkeypatch.setattr(signing.Signer, "unsign", lambda *args: pytest.fail("hashed"))
    with pytest.raises(InvalidToken, match="too long"):
        verify_subscription_token("a" * (MAX_TOKEN_BYTES + 1), "order:7", now=NOW)


@pytest.mark.parametrize("channel", ["o" * 200, "é" * 100, "€" * 66, "😀" * 50, '"' * 200, "\\" * 200])
def test_longest_names_and_keys_fit(channel):
    """No channel name that is allowed makes a token that is refused."""
    token = make(channel, user="x" * 64, login="l" * 22, fingerprint="0" * 16)
    assert len(token) <= MAX_TOKEN_BYTES
    assert verify_subscription_token(token, channel, now=NOW).channel == channel


def test_other_channels_token_is_refused():
    """A token opens the one channel that it names."""
    with pytest.raises(InvalidToken, match="order:8"):
        verify_subscription_token(make(), "order:8", now=NOW)


@pytest.mark.parametrize(
    "foreign", [{"purpose": "resume"}, {"salt": "jugpush.resume"}, {"purpose": "publish", "salt": "jugpush.publish"}]
)
def test_other_purposes_token_is_refused(foreign):
    """What is signed for one purpose is worth nothing for another."""
    claims = payload(make())
    assert verify_subscription_token(forged(claims), "order:7", now=NOW)
    with pytest.raises(InvalidToken):
        verify_subscription_token(forged(claims, **foreign), "order:7", now=NOW)


def test_token_signed_by_django_for_something_else_is_refused(settings):
    """SECRET_KEY itself does not sign tokens, so nothing that Django signs can pass for one."""
    for token in (
        signing.dumps(payload(make()), salt="jugpush.subscription"),
        signing.Signer(salt="jugpush.subscription").sign(make().partition(":")[0]),
    ):
        with pytest.raises(InvalidToken):
            verify_subscription_token(token, "order:7", now=NOW)


def test_token_of_another_namespace_is_refused(settings):
    """Two projects, tenants or stages that share SECRET_KEY do not share tokens."""
    token = make()
    settings.JUGPUSH = {"NAMESPACE": "staging"}
    with pytest.raises(InvalidToken):
        verify_subscription_token(token, "order:7", now=NOW)
    with pytest.raises(InvalidToken, match="namespace"):
        verify_subscription_token(forged(payload(token)), "order:7", now=NOW)


@pytest.mark.parametrize("claims", [{"v": 2}, {"c": 7}, {"e": "x"}, {"g": None}])
def test_claims_of_another_version_or_type_are_refused(claims):
    """A signature does not make sense of what cannot be read."""
    with pytest.raises(InvalidToken):
        verify_subscription_token(forged({**payload(make()), **claims}), "order:7", now=NOW)


def test_expired_token_says_so_after_the_leeway():
    """Expiry has an exception of its own, and the clocks of two machines may differ a little."""
    token = make(lifetime=60)
    end = int(NOW) + 60
    assert verify_subscription_token(token, "order:7", now=end + LEEWAY).expires == end
    with pytest.raises(TokenExpired):
        verify_subscription_token(token, "order:7", now=end + LEEWAY + 1)


def test_expiry_of_a_forged_token_is_not_told():
    """What is not ours is refused flatly, however old it claims to be."""
    with pytest.raises(InvalidToken) as caught:
        verify_subscription_token(make(now=0)[:-1], "order:7", now=NOW)
    assert not isinstance(caught.value, TokenExpired)


def test_token_from_the_future_is_refused():
    """A clock that is wrong gives no longer life."""
    assert verify_subscription_token(make(), "order:7", now=NOW - LEEWAY)
    with pytest.raises(InvalidToken, match="future"):
        verify_subscription_token(make(), "order:7", now=NOW - LEEWAY - 2)


def test_lifetime_is_bounded():
    """No session is long enough to outlive the page's own limit."""
    assert payload(make(lifetime=10**9))["e"] == int(NOW) + LIFETIME


def test_rotated_key_still_verifies_and_a_dropped_one_does_not(settings):
    """SECRET_KEY_FALLBACKS carry the pages that are open over a rotation."""
    token = make()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the tests"
    assert verify_subscription_token(token, "order:7", now=NOW)
    assert make() != token
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidToken):
        verify_subscription_token(token, "order:7", now=NOW)
