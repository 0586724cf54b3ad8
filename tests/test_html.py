from __future__ import annotations

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe

from django_jugpush import declarations, html
from django_jugpush.access.authority import authorize
from django_jugpush.access.moments import KEY
from django_jugpush.access.pages import PageSubscription


def elements(markup):
    """Read markup as a browser would: a list of (tag, attributes)."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(markup)
    return found


def asked_by(rf, user):
    request = rf.get("/")
    request.user, request.session = user, SessionStore()
    if user.pk:
        request.session[SESSION_KEY] = str(user.pk)
    return request


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    monkeypatch.setattr(declarations, "_channels", [])


class TestScript:
    def test_client_is_loaded_from_a_file(self, rf):
        """No inline script: a strict Content Security Policy holds."""
        markup = html.client_script(rf.get("/"))
        assert markup.endswith("></script>")
        assert elements(markup) == [
            (
                "script",
                {
                    "src": "/static/django_jugpush/juggernaut.js",
                    "data-url": "/juggernaut/",
                    "data-live": "/static/django_jugpush/live.js",
                    "defer": None,
                },
            )
        ]

    @pytest.mark.django_db
    def test_personal_page_says_who_looks(self, rf, alice):
        """And carries that user's connection token; a visitor is nobody."""
        ((_, attributes),) = elements(html.client_script(asked_by(rf, AnonymousUser()), is_personal=True))
        assert (attributes["data-identity"], "data-token" in attributes) == (None, False)
        ((_, attributes),) = elements(html.client_script(asked_by(rf, alice), is_personal=True))
        assert re.fullmatch("[0-9a-f]{16}", attributes["data-identity"])
        assert authorize("banner", attributes["data-token"]).grant.user == str(alice.pk)

    @pytest.mark.django_db
    @pytest.mark.parametrize(("arguments", "is_personal"), [([], True), (["banner"], False), (["banner", "x"], True)])
    def test_page_of_public_channels_is_the_same_for_all(self, rf, alice, arguments, is_personal):
        """So that it can be cached."""
        declarations.channel("banner", public=True)
        request = asked_by(rf, alice)
        assert ("data-token" in html.subscribe(request, arguments)) is is_personal
        assert (getattr(request, "_cache_update_cache", True) is False) is is_personal

    def test_client_is_loaded_once_a_request(self, rf):
        """However often the tag stands in the page's templates."""
        request = rf.get("/")
        assert html.client_script(request)
        assert html.client_script(request) == ""
        assert html.client_script(rf.get("/"))

    def test_client_knows_where_the_server_is_and_whether_to_talk(self, rf, settings):
        """Only the script says so; an element that visitors smuggled in cannot."""
        settings.JUGPUSH = {"PUBLIC_URL": "https://push.example.com/j/"}
        settings.DEBUG = True
        ((_, attributes),) = elements(html.client_script(rf.get("/")))
        assert attributes["data-url"] == "https://push.example.com/j/"
        assert "data-debug" in attributes

    def test_hashed_static_files_are_found(self, rf, settings, tmp_path):
        """What collectstatic makes of the client's files is what the page loads."""
        settings.STATIC_ROOT = tmp_path
        backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
        call_command("collectstatic", interactive=False, verbosity=0)
        ((_, attributes),) = elements(html.client_script(rf.get("/")))
        for name in ("src", "data-live"):
            assert re.fullmatch(r"/static/django_jugpush/\w+\.[0-9a-f]{12}\.js", attributes[name])
            assert (tmp_path / attributes[name].removeprefix("/static/")).is_file()

    @pytest.mark.parametrize("attribute", ["csp_nonce", "_csp_nonce"])
    def test_nonce_is_passed_on(self, rf, attribute):
        """Lazy nonces, which are false until somebody takes them, too."""

        class Nonce(SimpleLazyObject):
            def __bool__(self):
                return False

        request = rf.get("/")
        setattr(request, attribute, Nonce(lambda: "abc123"))
        ((_, attributes),) = elements(html.client_script(request))
        assert attributes["nonce"] == "abc123"


class TestElement:
    @pytest.mark.parametrize("evil", ['"><script>alert(1)</script>', "' onclick='x", "a&quot;b", "<b>&amp;</b>"])
    @pytest.mark.parametrize("safe", [False, True])
    def test_every_attribute_is_escaped(self, evil, safe):
        """Text that claims to be safe HTML, as text in a template does, is escaped too."""
        text = mark_safe(evil) if safe else evil
        subscription = PageSubscription(channel=text, token=text, since=text, denied=text)
        markup = html.subscription_element(subscription, refresh=text, src=text, fill=text, on_stale=text)
        names = ["channel", "token", "since", "refresh", "src", "fill", "on-stale", "denied"]
        assert elements(markup) == [("juggernaut-subscribe", dict.fromkeys(names, evil))]

    def test_empty_attributes_are_left_out(self):
        """A public channel has no token."""
        markup = html.subscription_element(PageSubscription(channel="banner"), refresh="")
        assert markup == '<juggernaut-subscribe channel="banner"></juggernaut-subscribe>'


class TestSubscribe:
    def test_each_channel_gets_an_element_with_the_same_options(self, rf):
        """One tag can follow several channels for one part of the page."""
        declarations.channel("a", public=True)
        declarations.channel("b", public=True)
        request = rf.get("/", **{KEY: 8.0})
        markup = html.subscribe(request, [["a", "b"]], refresh="#x", src="/x/", on_stale="reload")
        options = {"since": ":0-7000", "refresh": "#x", "src": "/x/", "on-stale": "reload"}
        assert elements(markup)[1:] == [
            ("juggernaut-subscribe", {"channel": "a", **options}),
            ("juggernaut-subscribe", {"channel": "b", **options}),
        ]

    def test_page_that_is_stale_can_be_reloaded_and_nothing_else(self, rf):
        """A misspelt wish would not be heard when it counts."""
        declarations.channel("a", public=True)
        for nothing in (None, ""):
            assert "on-stale" not in html.subscribe(rf.get("/"), ["a"], on_stale=nothing)
        with pytest.raises(ValueError, match="'reload' and nothing else, not 'relod'"):
            html.subscribe(rf.get("/"), ["a"], on_stale="relod")

    def test_refused_channel_is_shown_only_under_debug(self, rf, settings):
        """The developer is told why; a visitor learns nothing, not even the name."""
        assert "typed" not in html.subscribe(rf.get("/"), ["typed"])
        settings.DEBUG = True
        _, (_, attributes) = elements(html.subscribe(rf.get("/"), ["typed"]))
        assert attributes["channel"] == "typed"
        assert "since" not in attributes
        assert "'typed'" in attributes["denied"]
        assert "token" not in attributes

    def test_wrapped_request_is_kept_out_of_caches_too(self, rf):
        """Django REST framework's wrapper keeps what is set on it from Django."""
        request = rf.get("/")
        html.subscribe(SimpleNamespace(_request=request), [declarations.Channel("plain")])
        assert request._cache_update_cache is False
