"""What the push server asks in a thread: the database, and the rules of channels."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404

from django_jugpush import channel, user_channel
from django_jugpush.access import authority
from django_jugpush.access.authority import ask, authorize, renew_unasked
from django_jugpush.access.logins import fingerprint
from django_jugpush.access.tokens import PAGE_GRANT_MAX, SUBSCRIPTION_TTL, make_connection_token
from django_jugpush.core.grants import Grant, Question
from django_jugpush.exceptions import SubscriptionDenied, TokenExpired
from tests.app import tenants
from tests.app.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_connection(monkeypatch):
    """Keep the test's transaction: here there is no thread."""
    monkeypatch.setattr(authority, "close_old_connections", lambda: None)


def grant(user=None, name="orders", **claims):
    now = time.time()
    return Grant(
        **{
            "channel": name,
            "namespace": "jugpush",
            "user": str(user.pk) if user else None,
            "login": "L1" if user else None,
            "fingerprint": fingerprint(user) if user else None,
            "granted_by": "page",
            "issued": now - 60,
            "history_from": now - 65,
            "expires": now + 10,
            "renewable_until": now + PAGE_GRANT_MAX,
            "ends": now + 2 * PAGE_GRANT_MAX,
        }
        | claims
    )


def answer(reason, asked, after=""):
    return ask(Question(grant=asked, reason=reason), after=after)


REASONS = ["connection", "reauthorization", "renewal"]


class TestRules:
    @pytest.mark.parametrize("reason", REASONS)
    def test_yes_grants_for_an_hour_from_here(self, alice, reason):
        """What was granted before, by whom ever, is granted anew; what may be read of the past stays the same."""
        channel("orders", lambda user: user == alice)
        before = grant(alice)
        granted = answer(reason, before, after="message1")
        assert granted == replace(
            before,
            granted_by="authorizer",
            issued=granted.issued,
            after=("message1",),
            expires=granted.issued + SUBSCRIPTION_TTL,
        )
        assert time.time() - 5 < granted.issued <= time.time()

    @pytest.mark.parametrize("reason", REASONS)
    def test_no_is_final(self, alice, bob, reason):
        """Also about what a page granted: where there is a rule, it decides."""
        channel("orders", lambda user: user == alice)
        for asked in (grant(bob), grant()):
            with pytest.raises(SubscriptionDenied) as refused:
                answer(reason, asked)
            assert not isinstance(refused.value, TokenExpired)

    def test_every_rule_must_say_yes(self, alice):
        channel("orders", lambda user: True)
        channel("<slug:name>", lambda user, name: False)
        with pytest.raises(SubscriptionDenied):
            answer("renewal", grant(alice))

    def test_permission_is_read_from_the_database(self, alice, django_user_model):
        """Not from what somebody remembers of the user."""
        channel("orders", permission="app.view_order")
        with pytest.raises(SubscriptionDenied):
            answer("renewal", grant(alice))
        alice.is_superuser = True
        alice.save()
        assert answer("renewal", grant(alice))

    def test_async_rule_is_waited_for(self, alice):
        async def rule(user):
            return user == alice

        channel("orders", rule)
        assert answer("connection", grant(alice))

    def test_instance_is_resolved_and_a_missing_one_is_refused(self, alice):
        """The rule is not asked about nothing."""
        channel(Order, lambda user, order: order.owner == user)
        order = Order.objects.create(owner=alice)
        name = f"app.order:{order.pk}"
        assert answer("renewal", grant(alice, name))
        order.delete()
        with pytest.raises(SubscriptionDenied):
            answer("renewal", grant(alice, name))

    def test_rule_that_fails_is_no_answer(self, alice):
        """Nobody gets in; but a database that is away for a moment costs nobody a subscription for good."""

        def rule(user):
            raise OperationalError("the database is away")

        channel("orders", rule)
        with pytest.raises(OperationalError):
            answer("renewal", grant(alice))

    @pytest.mark.parametrize("error", [Order.DoesNotExist, Http404, PermissionDenied])
    def test_rule_that_does_not_find_what_it_is_asked_about_says_no(self, alice, error):
        """As for what is forbidden: nobody finds out by asking which rows there are."""

        def rule(user):
            raise error

        channel("orders", rule)
        for reason in REASONS:
            with pytest.raises(SubscriptionDenied):
                answer(reason, grant(alice))

    def test_channel_that_became_public_is_open(self, alice):
        channel("orders", public=True)
        assert answer("renewal", grant(alice)).granted_by == "public"


class TestUsers:
    @pytest.mark.parametrize("reason", REASONS)
    @pytest.mark.parametrize("change", [lambda user: user.delete(), lambda user: setattr(user, "is_active", False)])
    def test_user_who_is_gone_or_inactive_is_refused(self, alice, reason, change):
        channel("orders", lambda user: True)
        asked = grant(alice)
        change(alice)
        if alice.pk:
            alice.save()
        with pytest.raises(SubscriptionDenied) as refused:
            answer(reason, asked)
        assert not isinstance(refused.value, TokenExpired)

    @pytest.mark.parametrize("reason", REASONS)
    def test_other_fingerprint_needs_the_page(self, alice, reason):
        """Whether the login outlived the new password is for Django to say, not for the rule."""
        channel("orders", lambda user: True)
        with pytest.raises(TokenExpired):
            answer(reason, grant(alice, fingerprint="0" * 16))

    def test_fingerprint_of_the_former_key_is_right(self, alice, settings):
        channel("orders", lambda user: True)
        asked = grant(alice)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key of the tests"
        assert answer("renewal", asked)

    def test_key_that_is_none_is_refused(self, alice):
        channel("orders", lambda user: True)
        with pytest.raises(SubscriptionDenied):
            answer("renewal", replace(grant(alice), user="alice"))

    def test_visitor_is_anonymous_for_the_rule(self):
        channel("orders", lambda user: user.is_anonymous)
        assert answer("connection", grant()).user is None


class TestPages:
    def test_page_is_renewed_while_the_user_is_the_same(self, alice):
        """As a grant of the same moment: nothing but the database's word has been added."""
        before = grant(alice)
        renewed = answer("renewal", before)
        assert (renewed.granted_by, renewed.issued) == ("page", before.issued)
        assert renewed.expires > time.time() + SUBSCRIPTION_TTL - 5

    def test_page_is_not_renewed_beyond_its_limit(self, alice):
        """Then it has to be rendered again."""
        end = time.time() + 600
        assert answer("renewal", grant(alice, renewable_until=end)).expires == end
        with pytest.raises(TokenExpired):
            answer("renewal", grant(alice, renewable_until=time.time()))

    def test_nothing_is_renewed_beyond_the_login(self, alice):
        channel("ruled", lambda user: True)
        end = time.time() + 600
        assert answer("renewal", grant(alice, "ruled", ends=end)).expires == end
        for name in ("orders", "ruled"):
            with pytest.raises(TokenExpired):
                answer("renewal", grant(alice, name, ends=time.time()))

    def test_changed_rights_need_the_page(self, alice):
        """The template was the authorization, so it is asked again."""
        with pytest.raises(TokenExpired):
            answer("reauthorization", grant(alice))

    def test_own_channel_needs_no_page(self, alice):
        """No change of rights takes it away."""
        for reason in REASONS:
            assert answer(reason, grant(alice, user_channel(alice))).granted_by == "authorizer"

    def test_rule_that_is_gone_needs_the_page(self, alice):
        with pytest.raises(TokenExpired):
            answer("renewal", grant(alice, granted_by="authorizer"))

    def test_visitors_page_is_renewed_without_a_question(self):
        """No session, no database: for twelve hours."""
        before = grant()
        renewed = renew_unasked(before, now=time.time())
        assert renewed.expires > time.time() + SUBSCRIPTION_TTL - 5
        with pytest.raises(TokenExpired):
            renew_unasked(grant(renewable_until=time.time()), now=time.time())

    def test_everything_else_is_a_question(self, alice):
        channel("ruled", lambda user: True)
        for asked in (grant(alice), grant(name="ruled"), grant(granted_by="authorizer")):
            assert renew_unasked(asked, now=time.time()) is None


class TestConnectionTokens:
    def test_authorize_answers_with_a_question(self, alice):
        """It asks no database."""
        channel("stats", lambda user: pytest.fail("asked on the event loop"))
        token = make_connection_token(now=time.time(), user=str(alice.pk), fingerprint=fingerprint(alice))
        question = authorize("stats", token)
        assert (question.reason, question.grant.user, question.grant.channel) == ("connection", str(alice.pk), "stats")

    def test_public_channel_needs_no_answer(self):
        channel("banner", public=True)
        assert authorize("banner", make_connection_token(now=time.time())).granted_by == "public"

    def test_channel_without_a_rule_is_refused(self, alice):
        """Nothing but a page could have granted it."""
        channel("named")
        for name in ("orders", "named", "user:999", "session:x", "jugpush:control"):
            with pytest.raises(SubscriptionDenied):
                answer("connection", grant(alice, name, granted_by=""))

    def test_history_begins_with_the_answer(self, alice):
        channel("orders", lambda user: True)
        granted = answer("connection", grant(alice, granted_by="", history_from=None))
        assert time.time() - 10 < granted.history_from < time.time()


class TestTenants:
    @pytest.fixture(autouse=True)
    def many(self, settings):
        settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name", "IN_NAMESPACE": "tests.app.tenants.tenant"}

    def test_rule_runs_inside_the_grants_tenant(self, alice):
        channel("orders", lambda user: tenants.name() == "one")
        assert answer("renewal", grant(alice, namespace="one"))
        with pytest.raises(SubscriptionDenied):
            answer("renewal", grant(alice, namespace="two"))
        assert tenants.name() == "nobody"

    def test_without_a_way_in_nothing_is_asked(self, alice, settings):
        """A page is rendered again; a connection token opens nothing."""
        settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name"}
        channel("orders", lambda user: pytest.fail("asked outside of the tenant"))
        with pytest.raises(TokenExpired):
            answer("renewal", grant(alice, namespace="one"))
        with pytest.raises(SubscriptionDenied) as refused:
            answer("connection", grant(alice, namespace="one"))
        assert not isinstance(refused.value, TokenExpired)
