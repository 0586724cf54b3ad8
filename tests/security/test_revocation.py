"""What ends a subscription, and how soon: two push servers on one Redis, real logins, real connections."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import transaction

import django_jugpush as push
from django_jugpush import publish
from django_jugpush.access import control
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.publishing.delivery import hand_over

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

SOON = 1.0
"""Seconds after the commit."""


@pytest.fixture
def tabs(servers, open_tab, browser, alice, bob):
    """Alice's page on each server, and Bob's, who must not be concerned."""
    user = browser("alice")
    opened = []
    for server in servers:
        tab = open_tab(server)
        tokens = user.tokens()
        tab.answer = tab.subscribe("orders", tokens["orders"])
        assert tab.answer["type"] == "subscribed"
        opened.append(tab)
    other = open_tab(servers[0])
    assert other.subscribe("orders", browser("bob").tokens()["orders"])["type"] == "subscribed"
    yield user, opened
    publish("orders", "still there")
    other.heard("still there")
    assert not [word for _, word in other.words if word.get("type") in ("unsubscribed", "disconnect")]


HARD = {
    "logout": lambda browser, user: browser.get("/sign-out/"),
    "deleted user": lambda browser, user: user.delete(),
    "revoke()": lambda browser, user: push.revoke(user),
}

SOFT = {
    "login over it": lambda browser, user: browser.get("/sign-in/bob/"),
    "flush in a view": lambda browser, user: browser.get("/flush/"),
    "deleted session": lambda browser, user: Session.objects.filter(
        session_key=browser.cookies["sessionid"].value
    ).delete(),
    "new password": lambda browser, user: (user.set_password("x"), user.save()),
    "inactive": lambda browser, user: (setattr(user, "is_active", False), user.save()),
    "group": lambda browser, user: user.groups.add(Group.objects.create(name="x")),
    "permission": lambda browser, user: user.user_permissions.add(Permission.objects.first()),
    "reauthorize(user)": lambda browser, user: push.reauthorize(user),
    "reauthorize(user, channel)": lambda browser, user: push.reauthorize(user, "orders"),
}


@pytest.mark.parametrize("event", HARD)
def test_hard_end_closes_every_connection_of_the_login(tabs, alice, event):
    """With a code that says not to come back, and the token is worth nothing from then on."""
    user, opened = tabs
    HARD[event](user, alice)
    done = time.monotonic()
    for tab in opened:
        word = tab.disconnected()
        assert (word["code"], word["reconnect"]) == (DisconnectCode.LOGIN_ENDED, False)
        assert word["at"] - done < SOON


@pytest.mark.parametrize("event", SOFT)
def test_soft_end_stops_the_subscription_and_has_it_asked_for_again(tabs, alice, event):
    """The connection stays."""
    user, opened = tabs
    SOFT[event](user, alice)
    done = time.monotonic()
    publish("orders", "secret")
    for tab in opened:
        word = tab.unsubscribed()
        assert (word["code"], word["temporary"], "id" in word) == (ErrorCode.REAUTHORIZE, True, False)
        assert word["at"] - done < SOON
        assert tab.is_quiet()
        again = tab.subscribe("orders", tab.answer["token"])
        assert (again["type"], again["code"]) == ("error", ErrorCode.TOKEN_EXPIRED)


def test_disconnect_closes_connections_that_may_come_back(tabs, alice, servers, open_tab):
    user, opened = tabs
    push.disconnect(alice)
    for tab in opened:
        word = tab.disconnected()
        assert (word["code"], word["reconnect"]) == (DisconnectCode.SENT_AWAY, True)
    back = open_tab(servers[1])
    assert back.subscribe("orders", opened[0].answer["token"])["type"] == "subscribed"


def test_reauthorize_of_a_channel_concerns_everybody_there(servers, open_tab, browser, alice, bob):
    """And nobody elsewhere."""
    opened = [open_tab(server) for server in servers]
    for tab, name in zip(opened, ["alice", "bob"], strict=True):
        tokens = browser(name).tokens("several")
        for channel in ("orders", "banner"):
            tab.subscribe(channel, tokens[channel])
    push.reauthorize(channel="orders")
    for tab in opened:
        assert tab.unsubscribed()["code"] == ErrorCode.REAUTHORIZE
    publish("banner", "for all")
    for tab in opened:
        tab.heard("for all", "banner")
        assert tab.is_quiet()


def test_own_password_change_costs_the_own_tab_nothing(servers, open_tab, browser, alice):
    """It fetches its page and goes on from where it was; the other device is out."""
    own, other = browser("alice"), browser("alice")
    tabs = [open_tab(server) for server in servers]
    answers = [tab.subscribe("orders", who.tokens()["orders"]) for tab, who in zip(tabs, (own, other), strict=True)]
    assert [answer["type"] for answer in answers] == ["subscribed"] * 2
    publish("orders", "before")
    position = tabs[0].heard("before")["position"]
    own.get("/change-password/")
    publish("orders", "meanwhile")
    for tab in tabs:
        tab.unsubscribed()
    refused = tabs[0].subscribe("orders", answers[0]["token"], since=position)
    assert refused["code"] == ErrorCode.TOKEN_EXPIRED
    renewed = own.tokens(renew=refused.get("renew"))
    back = tabs[0].subscribe("orders", renewed["orders"], since=position)
    assert (back["type"], back["recovered"]) == ("subscribed", True)
    assert [one["data"] for one in back["publications"]] == ["meanwhile"]
    # The other device's session is dead, so its page is the login form.
    assert tabs[1].subscribe("orders", answers[1]["token"])["code"] == ErrorCode.TOKEN_EXPIRED
    assert other.tokens() == {}


def test_right_that_is_kept_costs_nothing(servers, open_tab, browser, alice):
    """A rule is asked again, by the server itself: the client subscribes with the token that it has."""
    group = Group.objects.create(name="staff")
    group.permissions.add(Permission.objects.get(codename="view_order"))
    alice.groups.add(group)
    tab = open_tab(servers[0])
    answer = tab.subscribe("ruled", browser("alice").tokens("ruled")["ruled"])
    publish("ruled", 1)
    position = tab.heard(1, "ruled")["position"]
    alice.groups.add(Group.objects.create(name="another"))
    publish("ruled", 2)
    tab.unsubscribed("ruled")
    back = tab.subscribe("ruled", answer["token"], since=position)
    assert (back["type"], back["recovered"]) == ("subscribed", True)
    assert [one["data"] for one in back["publications"]] == [2]
    group.delete()
    tab.unsubscribed("ruled")
    assert tab.subscribe("ruled", back["token"], since=position)["code"] == ErrorCode.DENIED


def test_page_that_was_rendered_again_proves_it_by_the_id(servers, open_tab, browser, alice):
    """Within the seconds in which clocks could be wrong, too."""
    user = browser("alice")
    tab = open_tab(servers[0])
    answer = tab.subscribe("orders", user.tokens()["orders"])
    push.reauthorize(alice)
    tab.unsubscribed()
    refused = tab.subscribe("orders", answer["token"])
    assert tab.subscribe("orders", user.tokens()["orders"])["type"] == "error"
    renewed = user.tokens(renew=refused["renew"])["orders"]
    assert tab.subscribe("orders", renewed)["type"] == "subscribed"
    assert open_tab(servers[1]).subscribe("orders", renewed)["type"] == "subscribed"


def test_transaction_that_takes_long_ends_what_was_granted_meanwhile(servers, open_tab, browser, alice, monkeypatch):
    """The message is as old as the change, but until the commit all pages were rendered without it."""
    user = browser("alice")
    real = time.time
    with transaction.atomic():
        with monkeypatch.context() as patch:
            patch.setattr(control.time, "time", lambda: real() - 30)  # it began half a minute ago
            push.reauthorize(alice)
        token = user.tokens()["orders"]
    answer = abreast(open_tab(servers[0])).subscribe("orders", token)
    assert (answer["type"], answer["code"]) == ("error", ErrorCode.TOKEN_EXPIRED)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False),
        lambda user: type(user).objects.filter(pk=user.pk).update(password="x"),
        lambda user: type(user).objects.filter(pk=user.pk)._raw_delete("default"),
    ],
)
def test_what_django_does_not_tell_is_found_by_the_sweep(tabs, alice, servers, change):
    """Half a minute later at the latest; here it is made to look at once."""
    user, opened = tabs
    Session.objects.all()._raw_delete("default")
    change(alice)
    assert all(tab.is_quiet() for tab in opened)
    for server in servers:
        server.rights._sweep_at = 0
    for tab in opened:
        assert tab.unsubscribed()["code"] == ErrorCode.REAUTHORIZE


def test_memberships_that_vanish_in_silence_are_found_at_the_renewal(servers, open_tab, browser, alice):
    """No signal tells of ``through.objects.delete()``; ``reauthorize()`` does, or the hour's end."""
    alice.user_permissions.add(Permission.objects.get(codename="view_order"))
    tab = open_tab(servers[0])
    assert tab.subscribe("ruled", browser("alice").tokens("ruled")["ruled"])["type"] == "subscribed"
    get_user_model().user_permissions.through.objects.all().delete()
    expire_soon(servers[0])
    word = tab.unsubscribed("ruled")
    assert (word["code"], word["temporary"]) == (ErrorCode.DENIED, False)


def abreast(tab):
    """Return the tab when its server has heard all that was told until now."""
    assert tab.subscribe("banner")["type"] == "subscribed"
    publish("banner", "now")
    tab.heard("now", "banner")
    return tab


def expire_soon(server):
    """Let the time of renewal come for all that is subscribed there."""
    for session in server.push.hub:
        for grant in list(session.grants.values()):
            if grant.renew_at:
                session.put_off(grant, until=0)


class TestRenewal:
    def test_page_goes_on_with_a_new_token(self, tabs, servers, open_tab):
        user, (tab, _) = tabs
        expire_soon(servers[0])
        renewed = tab.wait(lambda word: word.get("type") == "renewed")
        assert renewed["channel"] == "orders"
        assert open_tab(servers[1]).subscribe("orders", renewed["token"])["type"] == "subscribed"
        publish("orders", 1)
        tab.heard(1)

    def test_visitors_page_goes_on_without_a_session(self, servers, open_tab, browser):
        visitor = browser()
        tab = open_tab(servers[0])
        tab.subscribe("orders", visitor.tokens(area="open")["orders"])
        expire_soon(servers[0])
        assert tab.wait(lambda word: word.get("type") == "renewed")["token"]
        assert not visitor.cookies


class TestMemory:
    def test_server_that_was_down_knows_what_happened_meanwhile(self, start, servers, browser, open_tab, alice):
        """An old token from saved HTML is refused."""
        user = browser("alice")
        saved = user.tokens()["orders"]
        servers[0].stop()
        user.get("/sign-out/")
        tab = open_tab(start())
        answer = tab.subscribe("orders", saved)
        assert (answer["type"], answer["code"]) == ("error", ErrorCode.DENIED)

    def test_emptied_redis_makes_everybody_ask(self, start, browser, open_tab, alice, redis_server):
        """What is not known cannot be trusted."""
        saved = browser("alice").tokens()["orders"]
        with redis_server.client() as client:
            client.flushall()
        answer = open_tab(start()).subscribe("orders", saved)
        assert (answer["type"], answer["code"]) == ("error", ErrorCode.TOKEN_EXPIRED)

    def test_server_without_redis_takes_no_token_of_before_its_start(
        self, start, browser, open_tab, alice, settings, tmp_path, monkeypatch
    ):
        """Its memory began with it: the page is rendered again, or was logged out of meanwhile."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where no other server of the project is found
        settings.JUGPUSH = {"PING_INTERVAL": 2.5}
        user = browser("alice")
        saved = user.tokens()["orders"]
        server = start()
        answer = open_tab(server).subscribe("orders", saved)
        assert (answer["type"], answer["code"]) == ("error", ErrorCode.TOKEN_EXPIRED)
        assert open_tab(server).subscribe("orders", user.tokens()["orders"])["type"] == "subscribed"

    def test_page_that_was_on_its_way_during_the_logout_is_refused(self, servers, browser, open_tab, alice):
        """Whenever its token was made."""
        user = browser("alice")
        cookies = user.cookies.copy()
        held = Session.objects.get(session_key=cookies["sessionid"].value)
        user.get("/sign-out/")
        held.save()  # as if the flush came later
        user.cookies = cookies
        answer = abreast(open_tab(servers[0])).subscribe("orders", user.tokens()["orders"])
        assert (answer["type"], answer["code"]) == ("error", ErrorCode.DENIED)


class TestForgeries:
    def test_unsigned_message_has_no_effect_and_is_counted(self, tabs, servers, alice, redis_server):
        """Whoever can publish on the same Redis logs nobody out."""
        user, opened = tabs
        message = control.make_control("revoke", users=(str(alice.pk),))
        forged = type(message)(
            id="1", channel=message.channel, namespace=message.namespace, data=b'"1.e30:forged"', history=(10, 60.0)
        )
        hand_over([forged])
        publish("orders", 1)
        for tab in opened:
            tab.heard(1)
            assert tab.is_quiet()
        assert [server.push.counts.control["dropped"] for server in servers] == [1, 1]

    def test_repeated_message_has_no_effect(self, tabs, servers, alice):
        user, opened = tabs
        message = control.make_control("disconnect", users=("999",))
        hand_over([message])
        hand_over([message])
        publish("orders", 1)
        for tab in opened:
            tab.heard(1)
        assert [server.push.counts.control["disconnect"] for server in servers] == [1, 1]
