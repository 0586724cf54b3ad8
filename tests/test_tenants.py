"""Tenants share a project, a Redis and a push server, and hear nothing of each other."""

from __future__ import annotations

import logging
import socket
import threading
from collections import defaultdict

import pytest
import uvicorn
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.template import engines
from websockets.sync.client import connect

from django_jugpush import channel, declarations, publish
from django_jugpush.access import tokens
from django_jugpush.access.authority import authorize
from django_jugpush.access.pages import LiteralName, page_subscriptions
from django_jugpush.asgi import make_feed, make_push_server
from django_jugpush.checks import check_setting
from django_jugpush.conf import derived_keys, get_config, get_namespace
from django_jugpush.exceptions import InvalidToken, SubscriptionDenied
from django_jugpush.publishing.delivery import use_broker
from django_jugpush.server.http import uvicorn_options
from django_jugpush.testing import capture_publications
from tests.app import tenants
from tests.app.models import Order, Place
from tests.app.tenants import tenant
from tests.publishing.conftest import Recorder
from tests.server.conftest import TIMEOUT, Peer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def many(settings, monkeypatch):
    """Have tenants, and no declared channels but the test's."""
    settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name"}
    monkeypatch.setattr(declarations, "_channels", [])


@pytest.fixture
def page(rf):
    """Return the request, and what its page may listen to, for a tenant and a user with one session in each."""
    sessions = defaultdict(SessionStore)

    def ask(name, *arguments, user=None):
        request = rf.get("/")
        request.user = user or AnonymousUser()
        request.session = sessions[name, user]
        with tenant(name):
            (subscription,) = page_subscriptions(request, arguments)
        return request, subscription

    return ask


@pytest.fixture
def recorder():
    recorder = Recorder()
    with use_broker(recorder):
        yield recorder


# The namespace


def test_namespace_is_the_callables_of_the_moment():
    assert get_namespace() == "nobody"
    with tenant("one"):
        assert get_namespace() == "one"


@pytest.mark.parametrize("strange", [None, "", "a:b", "a.b", "x" * 65, 1, "dům", "a\n"])
def test_strange_answer_of_the_callable_is_an_error(strange):
    with tenant(strange), pytest.raises(ImproperlyConfigured, match=r"tests\.app\.tenants\.name\(\) returned"):
        get_namespace()


@pytest.mark.parametrize("path", ["tests.app.tenants.nothing", "tests.nowhere.name", "tests.app.tenants._current"])
def test_wrong_path_is_an_error_of_the_checks(settings, path):
    settings.JUGPUSH = {"NAMESPACE": path}
    (error,) = check_setting()
    assert error.id == "jugpush.E002" and path in error.msg


def test_path_without_a_callable_is_an_error_at_run_time_too(settings):
    settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.nothing"}
    with pytest.raises(ImproperlyConfigured, match="cannot be imported"):
        get_namespace()


def test_right_setting_passes_the_checks():
    assert check_setting() == []


def test_keys_are_the_projects_and_not_the_tenants():
    """The push server, which is in no tenant, has to verify what is signed in any of them."""
    before = derived_keys("subscription")
    with tenant("one"):
        assert derived_keys("subscription") == before


# Tokens


def test_token_opens_the_channel_of_its_own_tenant(page, alice):
    """Whichever tenant the verifying process is in."""
    _, subscription = page("one", LiteralName("orders"), user=alice)
    with tenant("two"):
        grant = authorize("orders", subscription.token)
    assert (grant.namespace, grant.full_name, grant.user) == ("one", "one:orders", str(alice.pk))


def test_token_of_another_project_is_foreign(settings, page):
    """Its keys are derived from another NAMESPACE; and a namespace that nobody could have is nobody's."""
    _, subscription = page("one", LiteralName("orders"))
    settings.JUGPUSH = {"NAMESPACE": "one"}
    with pytest.raises(InvalidToken):
        authorize("orders", subscription.token)


def test_public_channel_needs_the_token_that_says_whose_it_is(page):
    """The tag writes it; without it the push server cannot know."""
    channel("banner", public=True)
    _, subscription = page("one", "banner")
    grant = authorize("banner", subscription.token)
    assert (grant.namespace, grant.granted_by, grant.user, grant.expires) == ("one", "public", None, None)
    with pytest.raises(SubscriptionDenied, match="tenant"):
        authorize("banner", None)


def test_public_token_is_bound_to_nobody_and_lets_the_page_be_cached(page, alice):
    """The same for all, at any time."""
    channel("banner", public=True)
    request, subscription = page("one", "banner", user=alice)
    _, later = page("one", "banner")
    assert subscription.token == later.token
    assert not hasattr(request, "_cache_update_cache")
    assert not request.session.accessed


def test_public_token_opens_nothing_that_is_public_no_more(page):
    """It never says that the channel is public, only of which tenant it is."""
    channel("banner", public=True)
    _, subscription = page("one", "banner")
    declarations._channels.clear()
    with pytest.raises(InvalidToken):
        authorize("banner", subscription.token)
    channel("banner", lambda user: True)
    with pytest.raises(InvalidToken):
        authorize("banner", subscription.token)


def test_public_token_is_for_its_channel_only(page):
    channel("room:<slug:name>", public=True)
    _, subscription = page("one", "room:a")
    with pytest.raises(InvalidToken):
        authorize("room:b", subscription.token)


def test_without_tenants_a_public_channel_has_no_token(settings, page):
    settings.JUGPUSH = {"NAMESPACE": "one"}
    channel("banner", public=True)
    assert page("two", "banner")[1].token is None
    assert authorize("banner", None).full_name == "one:banner"


def test_tag_writes_the_public_token(rf):
    """For the client it is a token like any other."""
    channel("banner", public=True)
    request = rf.get("/")
    template = engines["django"].from_string("{% load juggernaut %}{% juggernaut_subscribe 'banner' %}")
    with tenant("one"):
        html = template.render(request=request)
        assert f'channel="banner" token="{tokens.make_public_token("banner")}"' in html


# Publishing


@pytest.mark.django_db(transaction=True)
def test_publication_carries_the_tenant_of_the_call(recorder):
    """Not that of the commit."""
    with transaction.atomic():
        with tenant("one"):
            publish("news", 1)
        with tenant("two"):
            publish("news", 2)
    assert [(p.namespace, p.channel, bytes(p.data)) for p in recorder.publications] == [
        ("one", "news", b"1"),
        ("two", "news", b"2"),
    ]


@pytest.mark.django_db(transaction=True)
def test_change_carries_the_tenant_of_the_change(recorder):
    with tenant("one"):
        place = Place.objects.create(name="here")
    with tenant("two"):
        place.delete()
    name = recorder.publications[0].channel
    assert [(p.namespace, p.channel) for p in recorder.publications] == [("one", name), ("two", name)]


@pytest.mark.django_db(transaction=True)
def test_change_is_not_read_from_another_tenants_tables(recorder, caplog):
    """With a schema for each tenant the same key is another row there."""
    with tenant("two"), transaction.atomic():
        with tenant("one"):
            Order.objects.create()
            publish("news", 1)
        Place.objects.create(name="here")
    assert {(p.namespace, p.channel.partition(":")[0]) for p in recorder.publications} == {
        ("one", "news"),
        ("two", "app.place"),
    }
    assert "1 changes are not published: they were made in one and committed in two" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_callable_that_fails_does_not_stop_a_save(recorder, monkeypatch, caplog):
    """What cannot be published is logged; the row is saved."""

    def fail():
        raise RuntimeError("no tenant here")

    monkeypatch.setattr(tenants, "name", fail)
    place = Place.objects.create(name="here")
    place.delete()
    assert not recorder.publications
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_captured_publications_say_whose_they_are():
    with capture_publications() as published, tenant("one"):
        publish("news", 1)
    assert [record.namespace for record in published] == ["one"]


# Redis, and the words of 2011, which know no tenants


def test_firehose_is_closed(settings):
    """Nothing that is published there says for which tenant."""
    settings.JUGPUSH |= {"BROKER": "redis://127.0.0.1:1/0"}
    assert make_feed(get_config())._firehose_channel is None
    settings.JUGPUSH |= {"NAMESPACE": "shop"}
    assert make_feed(get_config())._firehose_channel == "juggernaut"


def test_broker_of_2011_is_an_error_of_the_checks(settings):
    settings.JUGPUSH |= {"BROKER": "juggernaut+redis://127.0.0.1:1/0"}
    (error,) = check_setting()
    assert error.id == "jugpush.E002" and "tenants" in error.msg


# The whole way


@pytest.fixture
def push_url(settings, redis_server):
    """A push server of the project, under uvicorn."""
    settings.JUGPUSH |= {"BROKER": redis_server.url}
    push = make_push_server()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(push, log_config=None, **uvicorn_options(push)))
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/juggernaut/websocket?protocol=1"
    server.should_exit = True
    thread.join(TIMEOUT)


@pytest.mark.django_db(transaction=True)
def test_two_users_42_hear_nothing_of_each_other(push_url, page, django_user_model):
    """Over a real Redis and a real push server: the user's channel, an instance's, a public one, all of one name."""
    user = django_user_model.objects.create(pk=42, username="ann")
    order = Order(pk=7)
    channel("banner", public=True)
    targets = [user, order, "banner"]
    with connect(push_url) as first, connect(push_url) as second:
        peers = {"one": Peer(first), "two": Peer(second)}
        for name, peer in peers.items():
            assert peer.receive()["type"] == "connected"
            for target in targets:
                _, subscription = page(name, target, user=user)
                assert peer.subscribe(subscription.channel, token=subscription.token)["type"] == "subscribed"
        for name in peers:
            with tenant(name):
                publish(targets, {"for": name})
        for name, peer in peers.items():
            heard = [peer.receive() for _ in targets]
            assert [word["channel"] for word in heard] == ["user:42", "app.order:7", "banner"]
            assert [word["data"] for word in heard] == [{"for": name}] * 3
            peer.send(type="ping")
            assert peer.receive() == {"type": "pong"}
