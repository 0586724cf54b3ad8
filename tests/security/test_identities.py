"""Several logins in one browser, or on one connection."""

from __future__ import annotations

import pytest

from django_jugpush import publish
from django_jugpush.core.codes import DisconnectCode, ErrorCode

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def test_connection_belongs_to_the_first_login(servers, open_tab, browser, alice, bob):
    """Another user's token, and one of another login of the same user, are refused on it."""
    tab = open_tab(servers[0])
    assert tab.subscribe("orders", browser("alice").tokens()["orders"])["type"] == "subscribed"
    for name in ("bob", "alice"):
        answer = tab.subscribe("ruled", browser(name).tokens().connection)
        assert answer["code"] in (ErrorCode.IDENTITY_MISMATCH, ErrorCode.DENIED)
        own = browser(name).tokens("own")
        (channel,) = own
        assert tab.subscribe(channel, own[channel])["code"] == ErrorCode.IDENTITY_MISMATCH
    assert tab.subscribe("banner")["type"] == "subscribed"


def test_end_of_one_login_leaves_the_other_alone(servers, open_tab, browser, alice, bob):
    """Five tabs: three were Alice's, then Bob signed in."""
    user = browser("alice")
    alices = [open_tab(servers[number % 2]) for number in range(3)]
    for tab in alices:
        assert tab.subscribe("orders", user.tokens()["orders"])["type"] == "subscribed"
    user.get("/sign-out/")
    for tab in alices:
        assert tab.disconnected()["code"] == DisconnectCode.LOGIN_ENDED
    user.get("/sign-in/bob/")
    bobs = [open_tab(servers[number % 2]) for number in range(2)]
    for tab in bobs:
        assert tab.subscribe("orders", user.tokens()["orders"])["type"] == "subscribed"
    publish("orders", 1)
    for tab in bobs:
        tab.heard(1)


def test_two_users_at_once_have_nothing_to_do_with_each_other(servers, open_tab, browser, alice, bob):
    """Alice's end is not Bob's, though both have tabs on both servers."""
    users = {name: browser(name) for name in ("alice", "bob")}
    tabs = {name: [open_tab(server) for server in servers] for name in users}
    for name, user in users.items():
        for tab in tabs[name]:
            assert tab.subscribe("orders", user.tokens()["orders"])["type"] == "subscribed"
    users["alice"].get("/sign-out/")
    for tab in tabs["alice"]:
        assert tab.disconnected()["code"] == DisconnectCode.LOGIN_ENDED
    publish("orders", 1)
    for tab in tabs["bob"]:
        tab.heard(1)


def test_two_logins_of_a_user_end_one_by_one(servers, open_tab, browser, alice):
    phone, desk = browser("alice"), browser("alice")
    tabs = [open_tab(servers[0]) for _ in range(2)]
    for tab, user in zip(tabs, (phone, desk), strict=True):
        assert tab.subscribe("orders", user.tokens()["orders"])["type"] == "subscribed"
    phone.get("/sign-out/")
    assert tabs[0].disconnected()["code"] == DisconnectCode.LOGIN_ENDED
    publish("orders", 1)
    tabs[1].heard(1)


def test_key_rotation_drops_nobody_and_a_logout_after_it_counts(servers, open_tab, browser, alice, settings):
    """
    The login's id is that of before.

    Django gives the session another key with the first page that comes, and deletes the row of before. So pages that
    are open ask for themselves once more, and go on.
    """
    user = browser("alice")
    tab = open_tab(servers[0])
    answer = tab.subscribe("orders", user.tokens()["orders"])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the tests"
    again = open_tab(servers[1])
    assert again.subscribe("orders", answer["token"])["type"] == "subscribed"
    user.tokens()
    publish("orders", 1)
    for one in (tab, again):
        one.unsubscribed()
        refused = one.subscribe("orders", answer["token"], since=answer["position"])
        assert refused["code"] == ErrorCode.TOKEN_EXPIRED
        fresh = user.tokens(renew=refused["renew"])["orders"]
        back = one.subscribe("orders", fresh, since=answer["position"])
        assert (back["type"], back["recovered"]) == ("subscribed", True)
    user.get("/sign-out/")
    for one in (tab, again):
        assert one.disconnected()["code"] == DisconnectCode.LOGIN_ENDED
    assert open_tab(servers[0]).subscribe("orders", answer["token"])["code"] == ErrorCode.DENIED
