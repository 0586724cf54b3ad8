from __future__ import annotations

import dataclasses

import msgspec
import pytest
from django.core import signing

from django_jugpush.access.tokens import (
    LEEWAY,
    MAX_TOKEN_BYTES,
    PAGE_GRANT_MAX,
    SUBSCRIPTION_TTL,
    TOKEN_TTL,
    make_connection_token,
    make_resume_token,
    make_subscription_token,
    verify_token,
)
from django_jugpush.conf import derived_keys
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import InvalidToken, TokenExpired

NOW = 1_800_000_000.25


def make(channel="order:7", **claims):
    return make_subscription_token(channel, **{"granted_by": "page", "now": NOW, **claims})


def payload(token):
    return msgspec.json.decode(signing.b64_decode(token.partition(":")[0].partition(".")[2].encode()))


def forged(claims, *, purpose="subscription", salt="jugpush.subscription", prefix="s."):
    """Sign any claims, as whoever holds a key of ours for ``purpose`` could."""
    text = prefix + signing.b64_encode(msgspec.json.encode(claims)).decode()
    return signing.Signer(key=derived_keys(purpose)[0], salt=salt, fallback_keys=[]).sign(text)


def test_grant_says_what_the_token_was_made_with():
    """Nothing is lost on the way from the page to the push server."""
    token = make(
        user="42",
        login="l" * 22,
        fingerprint="0011223344556677",
        granted_by="authorizer",
        ends=NOW + 7200,
        after=["aaaaaaaa"],
    )
    assert verify_token(token, "order:7", now=NOW) == Grant(
        namespace="jugpush",
        channel="order:7",
        user="42",
        login="l" * 22,
        fingerprint="0011223344556677",
        granted_by="authorizer",
        issued=NOW,
        after=("aaaaaaaa",),
        history_from=NOW,
        expires=NOW + SUBSCRIPTION_TTL,
        renewable_until=int(NOW) + PAGE_GRANT_MAX,
        ends=int(NOW) + 7200,
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
        verify_token("".join(characters), "order:7", now=NOW)
    assert not isinstance(caught.value, TokenExpired)


@pytest.mark.parametrize(
    "token", ["", ":", "x", "x:y", "é:é", "\ud800:x", "\0", "." + make.__name__, "a" * MAX_TOKEN_BYTES]
)
def test_what_is_no_token_is_refused(token):
    """Text of any kind is answered by one exception."""
    with pytest.raises(InvalidToken):
        verify_token(token, "order:7", now=NOW)


def test_huge_token_is_refused_before_it_is_hashed(monkeypatch):
    """The cost of a forged token does not grow with its length."""
    monkeypatch.setattr(signing.Signer, "unsign", lambda *args: pytest.fail("hashed"))
    with pytest.raises(InvalidToken, match="too long"):
        verify_token("a" * (MAX_TOKEN_BYTES + 1), "order:7", now=NOW)


@pytest.mark.parametrize("channel", ["o" * 200, "é" * 100, "€" * 66, "😀" * 50, '"' * 200, "\\" * 200])
def test_longest_names_and_keys_fit(channel):
    """No channel name that is allowed makes a token that is refused."""
    token = make(channel, user="x" * 64, login="l" * 22, fingerprint="0" * 16, after=["a" * 8] * 4)
    resume = make_resume_token(verify_token(token, channel, now=NOW))
    assert max(len(token), len(resume)) <= MAX_TOKEN_BYTES
    assert verify_token(resume, channel, now=NOW).channel == channel


def test_other_channels_token_is_refused():
    """A token opens the one channel that it names."""
    with pytest.raises(InvalidToken, match="order:8"):
        verify_token(make(), "order:8", now=NOW)


@pytest.mark.parametrize(
    "foreign",
    [
        {"purpose": "resume"},
        {"salt": "jugpush.resume"},
        {"prefix": "r."},
        {"prefix": "c."},
        {"prefix": ""},
        {"purpose": "control", "salt": "jugpush.control"},
        {"purpose": "publish", "salt": "jugpush.publish"},
    ],
)
def test_other_purposes_token_is_refused(foreign):
    """What is signed for one purpose is worth nothing for another."""
    claims = payload(make())
    assert verify_token(forged(claims), "order:7", now=NOW)
    with pytest.raises(InvalidToken):
        verify_token(forged(claims, **foreign), "order:7", now=NOW)


def test_token_signed_by_django_for_something_else_is_refused(settings):
    """SECRET_KEY itself does not sign tokens, so nothing that Django signs can pass for one."""
    for token in (
        signing.dumps(payload(make()), salt="jugpush.subscription"),
        signing.Signer(salt="jugpush.subscription").sign(make().partition(":")[0]),
    ):
        with pytest.raises(InvalidToken):
            verify_token(token, "order:7", now=NOW)


def test_token_of_another_namespace_is_refused(settings):
    """Two projects, tenants or stages that share SECRET_KEY do not share tokens."""
    token = make()
    settings.JUGPUSH = {"NAMESPACE": "staging"}
    with pytest.raises(InvalidToken):
        verify_token(token, "order:7", now=NOW)
    with pytest.raises(InvalidToken, match="namespace"):
        verify_token(forged(payload(token)), "order:7", now=NOW)


@pytest.mark.parametrize("claims", [{"v": 2}, {"c": 7}, {"e": "x"}, {"g": None}])
def test_claims_of_another_version_or_type_are_refused(claims):
    """A signature does not make sense of what cannot be read."""
    with pytest.raises(InvalidToken):
        verify_token(forged({**payload(make()), **claims}), "order:7", now=NOW)


def test_expired_token_says_so_after_the_leeway():
    """Expiry has an exception of its own, and the clocks of two machines may differ a little."""
    token = make(lifetime=60)
    end = int(NOW) + 60
    assert verify_token(token, "order:7", now=end + LEEWAY)
    with pytest.raises(TokenExpired):
        verify_token(token, "order:7", now=end + LEEWAY + 1)


def test_expiry_of_a_forged_token_is_not_told():
    """What is not ours is refused flatly, however old it claims to be."""
    with pytest.raises(InvalidToken) as caught:
        verify_token(make(now=0)[:-1], "order:7", now=NOW)
    assert not isinstance(caught.value, TokenExpired)


def test_token_from_the_future_is_refused():
    """A clock that is wrong gives no longer life."""
    assert verify_token(make(), "order:7", now=NOW - LEEWAY)
    with pytest.raises(InvalidToken, match="future"):
        verify_token(make(), "order:7", now=NOW - LEEWAY - 2)


def test_token_must_be_presented_soon_and_opens_for_longer():
    """What is found in a saved page opens nothing; what runs goes on for an hour."""
    with pytest.raises(TokenExpired):
        verify_token(make(), "order:7", now=NOW + TOKEN_TTL + LEEWAY + 1)
    late = NOW + TOKEN_TTL
    assert verify_token(make(), "order:7", now=late).expires == late + SUBSCRIPTION_TTL


def test_lifetime_is_bounded():
    """A project may give a token more time than a page does, but not without end."""
    assert payload(make(lifetime=10**9))["e"] == int(NOW) + PAGE_GRANT_MAX
    assert payload(make(lifetime=3600, ends=NOW + 60))["e"] == int(NOW) + 60


def test_newest_messages_are_those_that_a_token_names():
    """Whoever has heard of one comes after all before it."""
    assert verify_token(make(after="abcdef"), "order:7", now=NOW).after == ("c", "d", "e", "f")


def test_subscription_ends_with_the_login():
    """However long it would last otherwise."""
    assert verify_token(make(ends=NOW + 600), "order:7", now=NOW).expires == int(NOW) + 600
    assert verify_token(make(), "order:7", now=NOW).ends == int(NOW) + PAGE_GRANT_MAX


def test_renewal_is_tried_at_another_moment_for_each():
    """Between 60 and 90 % of its life: a thousand pages that were opened together do not ask together."""
    moments = [verify_token(make(), "order:7", now=NOW).renew_at - NOW for _ in range(200)]
    assert 0.6 * SUBSCRIPTION_TTL <= min(moments) < 0.65 * SUBSCRIPTION_TTL
    assert 0.85 * SUBSCRIPTION_TTL < max(moments) <= 0.9 * SUBSCRIPTION_TTL


class TestResumeTokens:
    def test_copies_what_the_grant_says(self):
        """So whatever ends the grant ends the token too."""
        grant = verify_token(
            make(user="42", login="l" * 22, fingerprint="0" * 16, after=["a" * 8]), "order:7", now=NOW + 60
        )
        resumed = verify_token(make_resume_token(grant), "order:7", now=NOW + 120)
        assert resumed == dataclasses.replace(grant, expires=int(grant.expires))

    def test_does_not_prolong_the_subscription(self):
        """Whoever reconnects all the time is renewed when the others are."""
        grant = verify_token(make(), "order:7", now=NOW)
        token = make_resume_token(grant)
        assert verify_token(token, "order:7", now=grant.expires - 1).expires == int(grant.expires)
        with pytest.raises(TokenExpired):
            verify_token(token, "order:7", now=grant.expires + LEEWAY + 1)

    def test_is_for_its_channel(self):
        """As the token was that it comes of."""
        with pytest.raises(InvalidToken, match="order:7"):
            verify_token(make_resume_token(verify_token(make(), "order:7", now=NOW)), "order:8", now=NOW)


def test_connection_token_says_who_and_grants_nothing():
    """What it opens is for the channel's rule to say."""
    token = make_connection_token(now=NOW, user="42", login="l" * 22, fingerprint="0" * 16)
    grant = verify_token(token, "order:7", now=NOW)
    assert (grant.user, grant.login, grant.granted_by, grant.history_from) == ("42", "l" * 22, "", None)
    with pytest.raises(TokenExpired):
        verify_token(token, "order:7", now=NOW + TOKEN_TTL + LEEWAY + 1)


def test_rotated_key_still_verifies_and_a_dropped_one_does_not(settings):
    """SECRET_KEY_FALLBACKS carry the pages that are open over a rotation."""
    token = make()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the tests"
    assert verify_token(token, "order:7", now=NOW)
    assert make() != token
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidToken):
        verify_token(token, "order:7", now=NOW)
