from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore

from django_jugpush import channel, session_channel
from django_jugpush.access import authority
from django_jugpush.access.logins import LOGIN_KEY, fingerprint
from django_jugpush.access.moments import KEY, MARGIN
from django_jugpush.access.pages import LiteralName, PageSubscription, Visitor, page_subscriptions, visitor
from django_jugpush.access.tokens import PAGE_GRANT_MAX
from django_jugpush.core.positions import Position
from django_jugpush.exceptions import SubscriptionDenied
from tests.app.models import Note, Order

pytestmark = pytest.mark.django_db

LITERAL = LiteralName("orders")


@pytest.fixture
def page(rf):
    """Ask for a page as somebody; return the request."""

    def ask(user=None):
        request = rf.get("/")
        request.user = user or AnonymousUser()
        request.session = SessionStore()
        if user:
            request.session[SESSION_KEY] = str(user.pk)
        return request

    return ask


def only(request, *arguments):
    (subscription,) = page_subscriptions(request, arguments)
    return subscription


def grant(subscription):
    assert subscription.denied is None
    return authority.authorize(subscription.channel, subscription.token)


class TestText:
    def test_literal_is_granted_to_whoever_sees_the_page(self, page, alice):
        """The template is the authorization."""
        for user in (alice, None):
            assert grant(only(page(user), LITERAL)).granted_by == "page"

    @pytest.mark.parametrize("name", ["orders", "user:1", "session:x", "presence:a", "jugpush:control", "app.order:1"])
    def test_text_from_a_variable_is_not(self, page, alice, name):
        """What a visitor may have typed opens nothing by itself."""
        refused = only(page(alice), name)
        assert refused.token is None
        assert refused.denied

    @pytest.mark.parametrize("name", ["user:1", "jugpush:control"])
    def test_reserved_name_is_never_granted_as_text(self, page, alice, name):
        """Not even by a template's author."""
        assert only(page(alice), LiteralName(name)).denied

    def test_text_from_a_variable_is_granted_where_a_rule_says_yes(self, page, alice):
        """The authorizer decided, and the token says so."""
        channel("room:<slug:name>", lambda user, name: user == alice)
        assert grant(only(page(alice), "room:a")).granted_by == "authorizer"
        assert only(page(), "room:a").denied

    def test_channel_without_a_rule_vouches_for_no_text(self, page, alice):
        """A declaration that only gives names is no authorization."""
        channel("room:<slug:name>")
        assert only(page(alice), "room:a").denied

    def test_no_of_a_rule_beats_the_literal(self, page, alice):
        """Where an authorizer matches, the template cannot overrule it."""
        channel("orders", lambda user: False)
        assert only(page(alice), LITERAL).denied

    def test_every_rule_that_matches_must_say_yes(self, page, alice):
        """Of two patterns for one name, each can refuse."""
        channel("room:<slug:name>", lambda user, name: True)
        channel("room:<str:name>", lambda user, name: False)
        assert only(page(alice), "room:a").denied

    @pytest.mark.parametrize("name", ["", None, "a\n", "x" * 300])
    def test_text_that_cannot_be_a_name_is_refused_and_not_an_error(self, page, name):
        """A missing variable does not break the page."""
        assert only(page(), name) == PageSubscription(channel="", denied=only(page(), name).denied)

    def test_refusal_is_logged_loudly_only_under_debug(self, page, caplog, settings):
        """A visitor who may not is nothing to wake anybody for."""
        page_subscriptions(page(), ["orders"])
        assert caplog.records == []
        settings.DEBUG = True
        page_subscriptions(page(), ["orders"])
        assert "'orders'" in caplog.text


class TestObjects:
    def test_instance_stands_for_its_own_channel_alone(self, page, alice):
        """Not for what its publications are addressed to: those may be somebody's private channel."""
        order = Order.objects.create(owner=alice)
        assert [found.channel for found in page_subscriptions(page(), [order])] == [f"app.order:{order.pk}"]
        assert grant(only(page(), order)).granted_by == "page"

    def test_rule_of_the_model_decides_about_its_instances(self, page, alice, bob):
        """Whoever may not follow the row gets nothing."""
        order = Order.objects.create(owner=alice)
        channel(Order, lambda user, order: order.owner == user)
        assert grant(only(page(alice), order)).granted_by == "authorizer"
        assert only(page(bob), order).denied
        assert only(page(), order).denied

    def test_unsaved_instance_is_refused(self, page):
        """It has no channel yet."""
        assert only(page(), Note()).denied

    def test_declared_channel_without_parameters_is_accepted(self, page, alice):
        """The template's author named it in Python."""
        assert grant(only(page(alice), channel("plain"))).granted_by == "page"
        assert only(page(), channel("guarded", permission="app.view_order")).denied
        with pytest.raises(TypeError):
            page_subscriptions(page(), [channel("a:<int:pk>")])

    @pytest.mark.parametrize("name", ["orders", "user:1"])
    def test_object_that_merely_has_a_name_is_as_good_as_text(self, page, name):
        """Nobody vouches for what it says."""
        assert only(page(), SimpleNamespace(name=lambda: name)).denied

    def test_list_is_taken_item_by_item(self, page, alice):
        """None among them is left out."""
        order = Order.objects.create()
        found = page_subscriptions(page(alice), [[order, None, "typed"], LITERAL])
        assert [(item.channel, bool(item.token)) for item in found] == [
            (f"app.order:{order.pk}", True),
            ("typed", False),
            ("orders", True),
        ]
        assert page_subscriptions(page(alice), [[]]) == []

    @pytest.mark.parametrize("thing", [7, b"x", object(), {"a": 1}])
    def test_what_is_no_target_raises(self, page, thing):
        """A mistake in the template is found at once."""
        with pytest.raises(TypeError):
            page_subscriptions(page(), [thing])


class TestUsers:
    def test_no_argument_means_the_own_channel(self, page, alice):
        """The claims say who, since which login, and with which rights."""
        request = page(alice)
        granted = grant(only(request))
        assert granted.channel == f"user:{alice.pk}"
        assert granted.user == str(alice.pk)
        assert granted.login == request.session[LOGIN_KEY][0]
        assert granted.fingerprint == fingerprint(alice)

    def test_visitor_has_no_own_channel(self, page, rf):
        """And a project without users is no error."""
        assert page_subscriptions(page(), []) == []
        assert page_subscriptions(page(), [AnonymousUser()]) == []
        assert page_subscriptions(rf.get("/"), []) == []

    def test_user_who_is_looking_may_be_named(self, page, alice, django_user_model):
        """It is the same channel."""
        same = django_user_model.objects.get(pk=alice.pk)
        assert grant(only(page(alice), same)).channel == f"user:{alice.pk}"

    def test_any_other_user_raises(self, page, alice, bob, rf):
        """A page about somebody does not open that person's private channel."""
        for request in (page(alice), page(), rf.get("/")):
            with pytest.raises(SubscriptionDenied, match="request.user"):
                page_subscriptions(request, [bob])

    def test_wide_pattern_does_not_open_users(self, page, alice, bob):
        """Reserved names never reach an authorizer."""
        channel("<str:anything>", public=True)
        assert only(page(alice), f"user:{bob.pk}").denied


class TestTokens:
    def test_public_channel_gets_no_token_and_leaves_the_request_alone(self, rf):
        """Nothing of the visitor is looked at, so the page stays cacheable."""
        channel("banner", public=True)
        request = rf.get("/")
        request._cache_update_cache = True
        request.session = session = SessionStore()
        request.META[KEY] = 8.0
        (found,) = page_subscriptions(request, ["banner"])
        assert found == PageSubscription(channel="banner", since=":0-7000", is_public=True)
        assert request._cache_update_cache
        assert not session.accessed

    def test_token_of_a_visitor_needs_no_session(self, page):
        """No row and no cookie are made for one."""
        request = page()
        granted = grant(only(request, LITERAL))
        assert (granted.user, granted.login, granted.fingerprint) == (None, None, None)
        assert request.session.accessed
        assert not request.session.modified

    def test_token_keeps_the_page_out_of_caches(self, page):
        """It is one visitor's."""
        request = page(None)
        request._cache_update_cache = True
        page_subscriptions(request, [LITERAL])
        assert request._cache_update_cache is False

    def test_token_opens_what_the_page_asks_for_and_nothing_older(self, page, alice):
        """Its floor is the page's own moment, to the millisecond."""
        for started in (1763925000.1234, 1763925000.999, 1763925000.0):
            request = page(alice)
            request.META[KEY] = started
            subscription = only(request, LITERAL)
            assert subscription.since == f":0-{int((started - MARGIN) * 1000)}"
            assert Position.parse(subscription.since).ms / 1000 == grant(subscription).history_from

    def test_token_does_not_outlive_the_session(self, page, alice):
        """
        A session that ends sooner ends the subscription.

        One that lasts for two weeks says so every day, also on the last of them: only the site can tell.
        """
        request = page(alice)
        assert time.time() + PAGE_GRANT_MAX - 60 < grant(only(request, LITERAL)).ends <= time.time() + PAGE_GRANT_MAX
        request.session.set_expiry(600)
        assert grant(only(request, LITERAL)).ends <= time.time() + 600
        assert grant(only(page(), LITERAL)).ends <= time.time() + PAGE_GRANT_MAX

    def test_grant_is_as_old_as_the_request(self, page):
        """What the template goes by may have been read at its beginning; it has five minutes from the end, though."""
        request = page()
        request.META[KEY] = began = time.time() - 20
        granted = grant(only(request, LITERAL))
        assert granted.issued == round(began, 3)
        assert granted.expires > time.time() + 3500

    def test_page_that_is_fetched_again_says_what_it_comes_after(self, rf):
        """The ids that the push server gave the client; nothing else, and not too many."""
        request = rf.get("/", headers={"X-Juggernaut-Renew": "aaaaaaaa, bbbbbbbb,<script>,c" + ",dddddddd" * 9})
        request.user = AnonymousUser()
        assert grant(only(request, LITERAL)).after == ("dddddddd",) * 4
        request = rf.get("/", headers={"X-Juggernaut-Renew": "aaaaaaaa, bbbbbbbb,<script>"})
        assert grant(only(request, LITERAL)).after == ("aaaaaaaa", "bbbbbbbb")

    def test_channel_of_the_own_session_is_granted(self, page):
        """And that of any other, which nobody can know, is not."""
        request, other = page(), page()
        own, foreign = session_channel(request, create=True), session_channel(other, create=True)
        assert grant(only(request, own)).channel == own
        assert only(request, foreign).denied
        assert only(page(), own).denied


class TestVisitor:
    def test_user_gets_a_connection_token_and_the_page_is_kept_private(self, page, alice):
        """It says who looks, and opens what rules allow."""
        request = page(alice)
        looking = visitor(request)
        channel("stats", lambda user: user == alice)
        question = authority.authorize("stats", looking.token)
        assert (question.grant.user, question.grant.login) == (str(alice.pk), request.session[LOGIN_KEY][0])
        assert request._cache_update_cache is False

    def test_identity_is_that_of_the_login(self, page, alice, bob):
        """Two pages of one login have the same; another login of the same user has another."""
        request = page(alice)
        first = visitor(request).identity
        assert first == visitor(request).identity
        assert len({first, visitor(page(alice)).identity, visitor(page(bob)).identity}) == 3

    def test_visitor_has_neither(self, page, rf):
        """And leaves the page as it is."""
        for request in (page(), rf.get("/")):
            assert visitor(request) == Visitor()
            assert not hasattr(request, "_cache_update_cache")
