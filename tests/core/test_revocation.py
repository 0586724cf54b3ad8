"""What a push server makes of what it is told about logins and rights."""

from __future__ import annotations

import itertools

import pytest

from django_jugpush.core.control import ControlMessage
from django_jugpush.core.grants import Grant
from django_jugpush.core.revocation import KEPT, LONGEST_TRANSACTION, MARGIN, Revocations, Verdict

NOW = 1_800_000_000.0

_ids = (f"message{number}" for number in itertools.count())


def message(kind="reauthorize", **whom):
    return ControlMessage(**{"id": next(_ids), "at": NOW, "kind": kind, "namespace": "a"} | whom)


def grant(**claims):
    return Grant(
        **{
            "channel": "orders",
            "namespace": "a",
            "user": "1",
            "login": "L1",
            "fingerprint": "F1",
            "granted_by": "page",
            "issued": NOW - 60,
        }
        | claims
    )


@pytest.fixture
def known():
    return Revocations()


def after(known, *messages, **claims):
    """Return the verdict about a grant, after these messages."""
    for one in messages:
        known.apply(one, now=NOW)
    return known.verdict(grant(**claims))


def test_without_a_message_a_grant_is_fine(known):
    assert known.verdict(grant()) is Verdict.FINE


@pytest.mark.parametrize(
    ("whom", "verdict"),
    [
        ({"kind": "revoke", "login": "L1", "users": ("1",), "is_final": True}, Verdict.ENDED),
        ({"kind": "revoke", "login": "L1", "users": ("1",)}, Verdict.ENDED),
        ({"kind": "revoke", "users": ("2", "1")}, Verdict.ENDED),
        ({"login": "L1", "users": ("1",)}, Verdict.RENDER),
        ({"users": ("1",), "fingerprints": ("F2", "F3")}, Verdict.RENDER),
        ({"users": ("2", "1")}, Verdict.ASK),
        ({"users": ("1",), "channel": "orders"}, Verdict.ASK),
        ({"channel": "orders"}, Verdict.ASK),
        ({}, Verdict.ASK),
    ],
)
def test_message_concerns_whom_it_names(known, whom, verdict):
    assert after(known, message(**whom)) is verdict


@pytest.mark.parametrize(
    "whom",
    [
        {"kind": "revoke", "login": "L2", "users": ("1",), "is_final": True},
        {"kind": "revoke", "users": ("2",)},
        {"kind": "revoke", "users": ("1",), "namespace": "b"},
        {"login": "L2", "users": ("1",)},
        {"users": ("1",), "fingerprints": ("F0", "F1")},
        {"users": ("2",), "fingerprints": ("F2",)},
        {"users": ("2",)},
        {"users": ("1",), "channel": "others"},
        {"users": ("2",), "channel": "orders"},
        {"channel": "others"},
        {"channel": "orders", "namespace": "b"},
        {"namespace": "b"},
        {"kind": "disconnect", "users": ("1",)},
    ],
)
def test_message_concerns_nobody_else(known, whom):
    """Another login, user, channel or tenant; or a fingerprint that the grant has."""
    assert after(known, message(**whom)) is Verdict.FINE


def test_public_channel_is_never_concerned(known):
    public = Grant(channel="orders", namespace="a")
    known.forget_before(NOW)
    assert after(known, message(), message(channel="orders")) is not Verdict.FINE
    assert known.verdict(public) is Verdict.FINE


def test_visitor_is_concerned_by_the_channel_alone(known):
    """Who is not signed in has no login that could end and no rights that could change."""
    visitor = {"user": None, "login": None, "fingerprint": None}
    assert after(known, message(kind="revoke", users=("1",)), message(users=("1",)), **visitor) is Verdict.FINE
    assert after(known, message(channel="orders"), **visitor) is Verdict.ASK


def test_ended_login_stays_ended_however_late_the_token_was_made(known):
    """A page that was on its way while its user logged out brings a token that is younger than the message."""
    one = message(kind="revoke", login="L1", users=("1",), is_final=True)
    assert after(known, one, issued=NOW + 3600, after=(one.id,)) is Verdict.ENDED


@pytest.mark.parametrize(
    "whom",
    [
        {"kind": "revoke", "login": "L1", "users": ("1",)},
        {"kind": "revoke", "users": ("1",)},
        {"login": "L1"},
        {"users": ("1",), "fingerprints": ("F2",)},
        {"users": ("1",)},
        {"channel": "orders"},
    ],
)
def test_grant_from_after_the_message_is_fine(known, whom):
    """By the clock only beyond the margin."""
    assert after(known, message(**whom), issued=NOW + MARGIN) is not Verdict.FINE
    assert known.verdict(grant(issued=NOW + MARGIN + 0.1)) is Verdict.FINE


def test_grant_that_names_the_message_came_after_it(known):
    """Whatever the clocks say: the id is random, and was told after the commit."""
    first, second, third = message(users=("1",)), message(channel="orders"), message(users=("2",))
    assert after(known, first, second, third, after=(first.id,)) is Verdict.ASK
    assert known.verdict(grant(after=(second.id,))) is Verdict.FINE
    assert known.verdict(grant(after=(third.id,))) is Verdict.FINE
    assert known.verdict(grant(after=("unknown1",))) is Verdict.ASK


def test_newest_message_can_be_named_and_one_about_a_fingerprint_need_not(known):
    known.apply(one := message(users=("1",)), now=NOW)
    known.apply(message(users=("1",), fingerprints=("F2",)), now=NOW)
    known.apply(message(kind="revoke", login="L9"), now=NOW)
    assert known.newest == one.id


def test_last_fingerprint_counts(known):
    """Who changes a password back and forth has one at a time."""
    old, new = message(users=("1",), fingerprints=("F1",)), message(users=("1",), fingerprints=("F2",))
    assert after(known, new, old) is Verdict.FINE
    assert after(known, message(users=("1",), fingerprints=("F2",))) is Verdict.RENDER


@pytest.mark.parametrize(
    "whom",
    [
        {"kind": "revoke", "login": "L1", "users": ("1",)},
        {"kind": "revoke", "users": ("1",)},
        {"login": "L1"},
        {"users": ("1",)},
        {"channel": "orders"},
    ],
)
def test_message_that_comes_late_takes_nothing_back(known, whom):
    """The broker did not take it at first, and took a later one."""
    late = message(at=NOW - 60, **whom)
    assert after(known, message(**whom), late, issued=NOW - 30) is not Verdict.FINE


def test_ended_login_stays_so_after_a_weaker_word(known):
    final = message(kind="revoke", login="L1", is_final=True)
    assert after(known, final, message(kind="revoke", login="L1"), issued=NOW + 3600) is Verdict.ENDED


def test_fingerprint_that_comes_late_is_not_the_last(known):
    late = message(users=("1",), fingerprints=("F1",), at=NOW - 60)
    assert after(known, message(users=("1",), fingerprints=("F2",)), late) is Verdict.RENDER


def test_message_counts_from_its_commit(known):
    """While its transaction was open, pages were rendered as if nothing had changed."""
    known.apply(message(users=("1",), at=NOW - 60), now=NOW, published=NOW)
    assert known.verdict(grant(issued=NOW - 30)) is Verdict.ASK
    assert known.verdict(grant(issued=NOW + MARGIN + 0.1)) is Verdict.FINE


def test_disconnect_is_as_fresh_as_its_commit(known):
    assert known.apply(message(kind="disconnect", users=("1",), at=NOW - 61), now=NOW, published=NOW)


def test_old_message_that_a_stranger_repeats_does_not_count_as_new(known):
    known.apply(message(users=("1",), at=NOW - 2 * LONGEST_TRANSACTION), now=NOW, published=NOW)
    assert known.verdict(grant(issued=NOW - 60)) is Verdict.FINE


def test_what_was_before_the_beginning_is_not_known(known):
    """A login may have ended then; who has none is asked as after any change."""
    known.forget_before(NOW - 30)
    assert known.verdict(grant()) is Verdict.RENDER
    assert known.verdict(grant(login=None)) is Verdict.ASK
    assert known.verdict(grant(issued=NOW - 30)) is Verdict.FINE
    known.forget_before(NOW - 100)
    assert known.verdict(grant()) is Verdict.RENDER


def test_message_counts_once(known):
    """What is read from the stream has perhaps been heard live; what a stranger repeats has no effect."""
    one = message(users=("1",))
    assert known.apply(one, now=NOW)
    assert not known.apply(one, now=NOW + 1)
    assert len(known) == 1


def test_message_that_is_too_old_or_an_old_disconnect_means_nothing(known):
    assert not known.apply(message(kind="revoke", login="L1", at=NOW - KEPT - 1), now=NOW)
    assert known.verdict(grant()) is Verdict.FINE
    assert known.apply(message(kind="disconnect", users=("1",)), now=NOW)
    assert not known.apply(message(kind="disconnect", users=("1",), at=NOW - 61), now=NOW)


def test_message_from_the_future_blocks_nobody_for_ever(known):
    """A machine's clock may be an hour ahead."""
    assert after(known, message(users=("1",), at=NOW + 3600), issued=NOW + 2 * MARGIN + 0.1) is Verdict.FINE


def test_memory_is_given_back(known):
    """Once no token can be older."""
    for whom in ({"users": ("1",)}, {"login": "L1"}, {"users": ("1",), "fingerprints": ("F2",)}, {"channel": "orders"}):
        known.apply(message(**whom), now=NOW)
    known.apply(message(kind="revoke", login="L1"), now=NOW)
    known.apply(message(kind="revoke", users=("1",)), now=NOW)
    known.prune(NOW + KEPT)
    assert known.verdict(grant()) is Verdict.ENDED
    known.prune(NOW + KEPT + MARGIN + 1)
    assert known.verdict(grant()) is Verdict.FINE
    assert [len(held) for held in vars(known).values() if isinstance(held, dict)] == [0] * 7
