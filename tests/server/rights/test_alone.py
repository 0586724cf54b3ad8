"""What the keeper of rights remembers and decides by itself, with no feed and no project."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.control import ControlMessage
from django_jugpush.core.grants import Grant
from django_jugpush.core.hub import Hub
from django_jugpush.exceptions import SubscriptionDenied
from django_jugpush.server.counts import Counts
from django_jugpush.server.rights.project import ProjectRights
from django_jugpush.server.rights.stopped import REMEMBERED

BEFORE = Grant(
    channel="orders", namespace="tests", user="1", login="L1", granted_by="page", issued=60.0, history_from=50.0
)
AGAIN = replace(BEFORE, granted_by="authorizer", issued=95.0, history_from=90.0)


class Session:
    """One that can be stopped."""

    stopped = None

    def __init__(self, *grants):
        self.grants = {grant.channel: grant for grant in grants}

    def end_subscription(self, channel, code, detail, *, renew, spread):
        self.stopped = channel, code, renew


class Project:
    """One that says no, and has nothing to tell."""

    control_channel = "tests:control"

    def __init__(self):
        self.asked = []

    def renew_unasked(self, grant, *, now):
        raise SubscriptionDenied("no")

    def find_changed(self, connected):
        self.asked.append(connected)
        return []


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def rights(clock):
    return ProjectRights(Project(), None, Hub(None), Counts(), lambda session: None, clock=clock)


# What could be read of the past


def test_what_was_stopped_comes_back_as_it_was(rights, session):
    """The earlier of the two counts."""
    rights._enforcer.stop(session, BEFORE, ErrorCode.REAUTHORIZE)
    assert session.stopped == ("orders", ErrorCode.REAUTHORIZE, None)
    assert rights.with_past(session, AGAIN) == replace(AGAIN, history_from=50.0)
    assert rights.with_past(session, replace(AGAIN, history_from=40.0)).history_from == 40.0


@pytest.mark.parametrize("other", [{"user": "2"}, {"login": "L2"}, {"namespace": "else"}, {"channel": "else"}], ids=str)
def test_it_is_nobody_elses(rights, session, other):
    """A visitor may have signed in meanwhile, on the same connection."""
    rights._enforcer.stop(session, BEFORE, ErrorCode.TOKEN_EXPIRED)
    assert rights.with_past(session, replace(AGAIN, **other)).history_from == 90.0
    assert rights.with_past(Session(), AGAIN).history_from == 90.0


def test_it_ends_with_the_right(rights, session):
    """Whoever was shut out and is let in again begins anew."""
    rights._enforcer.stop(session, BEFORE, ErrorCode.DENIED)
    assert rights.with_past(session, AGAIN).history_from == 90.0


@pytest.mark.parametrize(("later", "history_from"), [(REMEMBERED, 50.0), (REMEMBERED + 1, 90.0)])
def test_it_is_remembered_for_a_while(rights, session, clock, later, history_from):
    rights._enforcer.stop(session, BEFORE, ErrorCode.REAUTHORIZE)
    clock.now += later
    assert rights.with_past(session, AGAIN).history_from == history_from


def test_it_is_given_once(rights, session):
    rights._enforcer.stop(session, BEFORE, ErrorCode.REAUTHORIZE)
    rights.subscribed(session, AGAIN)
    assert rights.with_past(session, AGAIN).history_from == 90.0


# Decisions


def test_nothing_starts_that_nobody_can_judge(rights):
    """While the control channel is not heard; a public channel needs no judge."""
    assert rights.is_blind
    assert not rights.is_good(BEFORE)
    assert rights.is_good(Grant(channel="orders", namespace="tests"))
    rights._judge.is_blind = False
    assert rights.is_good(BEFORE)
    rights._judge.revocations.forget_before(70.0)
    assert not rights.is_good(BEFORE)


def test_page_that_is_rendered_again_is_told_for_what(rights, session):
    """Nobody else has to name it."""
    message = ControlMessage(id="m1", at=90.0, kind="reauthorize", namespace="tests", users=("7",))
    rights._judge.revocations.apply(message, now=100.0)
    for code, renew in (ErrorCode.REAUTHORIZE, None), (ErrorCode.TOKEN_EXPIRED, "m1"):
        rights._enforcer.stop(session, BEFORE, code)
        assert session.stopped == ("orders", code, renew)


def test_renewal_that_fails_late_ends_nothing_that_began_since(rights):
    """The client has come back with another token."""
    session = Session(AGAIN)
    asyncio.run(rights._renewer.renew(session, BEFORE))
    assert session.stopped is None
    asyncio.run(rights._renewer.renew(session, AGAIN))
    assert session.stopped == ("orders", ErrorCode.DENIED, None)


def test_users_are_looked_after_by_their_own_grants(rights):
    """A public channel of theirs has no fingerprint that could be out of date."""
    public = Grant(channel="banner", namespace="tests")
    rights.subscribed(Session(replace(BEFORE, fingerprint="F1"), public), BEFORE)
    asyncio.run(rights._sweep())
    rights._questions.stop()
    assert rights._authority.asked == [{("tests", "1"): {"F1"}}]
