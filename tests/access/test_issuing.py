"""Tokens that a project's own views give out, asked for by real requests."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpResponse, JsonResponse
from django.urls import path
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from django_jugpush import channel, connection_token, session_channel, subscription_token, user_channel
from django_jugpush.access.authority import authorize
from django_jugpush.access.logins import LOGIN_KEY, fingerprint, named_login
from django_jugpush.exceptions import InvalidChannel, SubscriptionDenied
from tests.app.models import Note, Order

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class NameAuthentication(BaseAuthentication):
    """As an API's own: by a header, in the view."""

    def authenticate(self, request):
        from django.contrib.auth import get_user_model

        name = request.headers.get("X-Name")
        return (get_user_model().objects.get(username=name), f"key of {name}") if name else None


class PushTokenView(APIView):
    authentication_classes = [NameAuthentication, SessionAuthentication]

    def get(self, request):
        login = request.auth or None
        return Response({"token": connection_token(request, login=login), "own": own(request)})


def own(request):
    return subscription_token(request, request.user) if request.user.is_authenticated else None


def plain_view(request):
    return JsonResponse({"token": connection_token(request), "own": own(request)})


def shop_view(request):
    return HttpResponse(session_channel(request, create="basket" in request.GET) or "none")


urlpatterns = [path("drf/", PushTokenView.as_view()), path("plain/", plain_view), path("shop/", shop_view)]


def claims(token, name="anything"):
    """Return what a connection token says."""
    return authorize(name, token).grant


class TestViews:
    def test_django_rest_framework_authenticates_in_the_view(self, client, alice, bob):
        """The middleware has seen somebody else, or nobody."""
        client.force_login(bob)
        got = client.get("/drf/", headers={"X-Name": "alice"}).json()
        granted = claims(got["token"])
        assert (granted.user, granted.fingerprint) == (str(alice.pk), fingerprint(alice))
        assert granted.login == named_login(str(alice.pk), "key of alice")
        assert authorize(user_channel(alice), got["own"]).user == str(alice.pk)

    def test_client_of_an_api_gets_no_session(self, client, alice):
        response = client.get("/drf/", headers={"X-Name": "alice"})
        assert not response.cookies
        assert not Session.objects.exists()

    @pytest.mark.parametrize("url", ["/drf/", "/plain/"])
    def test_session_is_what_the_token_is_bound_to(self, client, alice, url):
        client.force_login(alice)
        got = client.get(url).json()
        granted = claims(got["token"])
        assert (granted.user, granted.login) == (str(alice.pk), client.session[LOGIN_KEY][0])
        assert authorize(user_channel(alice), got["own"]).login == granted.login

    @pytest.mark.parametrize("url", ["/drf/", "/plain/"])
    def test_visitor_is_nobody(self, client, url):
        response = client.get(url)
        granted = claims(response.json()["token"])
        assert (granted.user, granted.login, granted.fingerprint) == (None, None, None)
        assert not response.cookies


class TestConnectionToken:
    def test_user_may_be_given_instead_of_a_request(self, alice):
        """Where there is no request, or it is another's."""
        granted = claims(connection_token(alice, login="device-7"))
        assert (granted.user, granted.login) == (str(alice.pk), named_login(str(alice.pk), "device-7"))
        assert claims(connection_token(alice)).login is None

    @pytest.mark.parametrize("nobody", [None, AnonymousUser()])
    def test_nobody_may_be_given(self, nobody):
        assert claims(connection_token(nobody, login="device-7")).login is None

    def test_name_of_a_login_is_each_users_own(self, alice, bob):
        """Two people with a device of the same name."""
        tokens = [connection_token(user, login="device-7") for user in (alice, bob)]
        assert len({claims(token).login for token in tokens}) == 2

    def test_lifetime_can_be_chosen(self, alice, monkeypatch):
        now = time.time()
        token = connection_token(alice, lifetime=3600)
        monkeypatch.setattr("time.time", lambda: now + 3600)
        assert claims(token)


class TestSubscriptionToken:
    def test_rule_decides(self, alice, bob):
        channel("orders", lambda user: user == alice)
        assert authorize("orders", subscription_token(alice, "orders")).granted_by == "authorizer"
        for user, vouched in ((bob, False), (bob, True), (None, True)):
            with pytest.raises(SubscriptionDenied, match="says no"):
                subscription_token(user, "orders", grant=vouched)

    def test_text_without_a_rule_needs_somebody_who_vouches_for_it(self, alice):
        """It may be what a visitor typed."""
        with pytest.raises(SubscriptionDenied, match="grant=True"):
            subscription_token(alice, "orders")
        assert authorize("orders", subscription_token(alice, "orders", grant=True)).granted_by == "page"

    @pytest.mark.parametrize("name", ["user:1", "session:x", "jugpush:control", "presence:x"])
    def test_reserved_name_is_granted_by_nobodys_word(self, alice, name):
        for vouched in (False, True):
            with pytest.raises(SubscriptionDenied):
                subscription_token(alice, name, grant=vouched)

    def test_user_is_the_bearer(self, alice, bob):
        assert subscription_token(alice, alice)
        for bearer in (alice, None):
            with pytest.raises(SubscriptionDenied):
                subscription_token(bearer, bob, grant=True)

    def test_instance_and_declared_channel_are_granted_unless_a_rule_says_no(self, alice, bob):
        note = Note.objects.create()
        assert authorize(f"app.note:{note.pk}", subscription_token(alice, note))
        assert authorize("plain", subscription_token(alice, channel("plain")))
        channel(Order, lambda user, order: order.owner == user)
        order = Order.objects.create(owner=alice)
        assert subscription_token(alice, order)
        with pytest.raises(SubscriptionDenied):
            subscription_token(bob, order)

    def test_public_channel_is_open(self):
        channel("banner", public=True)
        assert authorize("banner", subscription_token(None, "banner")).is_public

    def test_what_is_no_channel_raises(self, alice):
        with pytest.raises(InvalidChannel):
            subscription_token(alice, "a\n")
        with pytest.raises(TypeError):
            subscription_token(alice, 7)


class TestSessionChannel:
    def test_visitor_without_a_session_gets_none_and_no_cookie(self, client, rf):
        """A robot fills no table."""
        response = client.get("/shop/")
        assert response.content == b"none"
        assert not response.cookies
        assert session_channel(rf.get("/")) is None

    def test_visitor_who_begins_something_gets_one_that_stays(self, client):
        name = client.get("/shop/?basket").content.decode()
        assert name.startswith("session:") and len(name) == 30
        assert client.get("/shop/").content.decode() == name

    def test_login_replaces_it(self, client, alice):
        """Whoever planted the session does not hear what is told to its user."""
        before = client.get("/shop/?basket").content
        client.force_login(alice)
        after = client.get("/shop/").content
        assert after != before
        assert after.decode() == f"session:{client.session[LOGIN_KEY][0]}"

    def test_existing_session_gets_one(self, rf):
        request = rf.get("/")
        request.session = SessionStore()
        request.session["basket"] = 1
        assert session_channel(request) == session_channel(request)
