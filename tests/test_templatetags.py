from __future__ import annotations

from unittest import mock

import django
import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.core.cache.utils import make_template_fragment_key
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.template import Context, Engine, RequestContext, TemplateSyntaxError
from django.urls import path
from django.views.decorators.cache import cache_page

from django_jugpush import declarations
from django_jugpush.exceptions import SubscriptionDenied
from tests.app.models import Order
from tests.test_html import elements

PAGES = {
    "own": "{% load juggernaut %}{% juggernaut_subscribe %}",
    "literal": '{% load juggernaut %}{% juggernaut_subscribe "orders" %}',
    "public": '{% load juggernaut %}{% juggernaut_subscribe "banner" %}',
    "base": "{% load cache %}{% cache 60 x %}{% block body %}{% endblock %}{% endcache %}",
    "child": '{% extends "base" %}{% load juggernaut %}{% block body %}{% juggernaut_subscribe "a" %}{% endblock %}',
    "include": '{% load cache %}{% cache 60 x %}{% include "literal" %}{% endcache %}',
}


def engine(templates=PAGES):
    return Engine(
        loaders=[("django.template.loaders.locmem.Loader", templates)],
        libraries={"juggernaut": "django_jugpush.templatetags.juggernaut", "cache": "django.templatetags.cache"},
    )


def compiled(tag):
    return engine().from_string(f"{{% load juggernaut cache %}}{tag}")


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    monkeypatch.setattr(declarations, "_channels", [])
    declarations.channel("banner", public=True)
    cache.clear()


@pytest.fixture
def render(rf):
    """Render a tag for a user; return the subscriptions as a list of attributes."""

    def render(tag, user=None, **context):
        request = rf.get("/")
        request.user = user or AnonymousUser()
        request.session = SessionStore()
        script, *found = elements(compiled(tag).render(RequestContext(request, context)))
        assert script[0] == "script"
        return [attributes for _, attributes in found]

    return render


def view(name):
    def show(request):
        return HttpResponse(engine().get_template(name).render(RequestContext(request)))

    return show


urlpatterns = [path(f"{name}/", view(name)) for name in PAGES]
urlpatterns += [path(f"cached/{name}/", cache_page(60)(view(name))) for name in PAGES]


class TestArguments:
    def test_literal_is_told_from_a_variable(self, render):
        """The same name is granted as one and refused as the other."""
        (literal,) = render('{% juggernaut_subscribe "orders" %}')
        assert literal["token"]
        assert render("{% juggernaut_subscribe name %}", name="orders") == []

    @pytest.mark.parametrize("tag", ['"a:"|add:room', "room", "rooms.0", "room|lower", '"x"|default:room|add:room'])
    def test_text_that_a_visitor_can_have_a_part_in_is_a_variable(self, render, tag):
        """A filter makes a literal a variable: its result may be anything."""
        assert render(f"{{% juggernaut_subscribe {tag} %}}", room="user:1", rooms=["user:1"]) == []

    @pytest.mark.django_db
    def test_what_the_request_asks_for_is_not_signed(self, rf, alice):
        """A name from the address bar opens nobody's channel."""
        request = rf.get("/", {"room": f"user:{alice.pk}"})
        request.user, request.session = alice, SessionStore()
        tag = compiled("{% juggernaut_subscribe request.GET.room %}")
        markup = tag.render(RequestContext(request, {"request": request}))
        assert "<juggernaut-subscribe" not in markup

    @pytest.mark.django_db
    def test_instance_signs_one_name(self, render, alice):
        """An order's page does not open its owner's channel."""
        order = Order.objects.create(owner=alice)
        (found,) = render("{% juggernaut_subscribe order %}", order=order)
        assert found["channel"] == f"app.order:{order.pk}"

    @pytest.mark.django_db
    def test_other_user_raises(self, render, alice, bob):
        """Following somebody is not reading their notices."""
        with pytest.raises(SubscriptionDenied):
            render("{% juggernaut_subscribe order.owner %}", alice, order=Order(owner=bob))
        assert render("{% juggernaut_subscribe order.owner %}", bob, order=Order(owner=bob))

    @pytest.mark.django_db
    def test_nothing_means_the_own_channel(self, render, alice):
        """A visitor gets the client alone."""
        assert [found["channel"] for found in render("{% juggernaut_subscribe %}", alice)] == [f"user:{alice.pk}"]
        assert render("{% juggernaut_subscribe %}") == []
        assert render("{% juggernaut_subscribe visitor %}", visitor=AnonymousUser()) == []

    @pytest.mark.parametrize("expression", ["export_chanel", "order.customer", "empty", 'empty|default:""'])
    def test_what_comes_to_nothing_is_named_as_the_template_writes_it(self, render, settings, caplog, expression):
        """Of several variables, one is misspelt."""
        settings.DEBUG = True
        tag = f'{{% juggernaut_subscribe "orders" {expression} %}}'
        granted, refused = render(tag, order=Order(), empty="")
        assert granted["token"]
        assert refused == {"denied": f"{expression!r} is empty or does not exist"}
        assert refused["denied"] in caplog.text

    def test_several_arguments_and_options(self, render):
        """Options may be literals or variables."""
        found = render('{% juggernaut_subscribe "a" "b" refresh="#x,#y" src=url fill=nothing %}', url="/x/?a=1&b=2")
        assert [(item["channel"], item["refresh"], item["src"]) for item in found] == [
            ("a", "#x,#y", "/x/?a=1&b=2"),
            ("b", "#x,#y", "/x/?a=1&b=2"),
        ]
        assert "fill" not in found[0]

    def test_page_that_is_stale_can_be_reloaded(self, render):
        """Said in the template, or by a variable; one that is empty asks for nothing."""
        (literal,) = render('{% juggernaut_subscribe "a" on_stale="reload" %}')
        (variable,) = render('{% juggernaut_subscribe "a" on_stale=what %}', what="reload")
        assert literal["on-stale"] == variable["on-stale"] == "reload"
        for nothing in (None, ""):
            assert "on-stale" not in render('{% juggernaut_subscribe "a" on_stale=what %}', what=nothing)[0]
        assert "on-stale" not in render('{% juggernaut_subscribe "a" on_stale=missing %}')[0]

    @pytest.mark.parametrize("literal", ["relod", "refresh", "Reload", ""])
    def test_nothing_else_can_be_done_with_one(self, literal):
        """A template with a mistake is no template."""
        with pytest.raises(TemplateSyntaxError, match='on_stale="reload"'):
            compiled(f'{{% juggernaut_subscribe "a" on_stale="{literal}" %}}')

    @pytest.mark.parametrize("value", ["relod", 5, True])
    def test_nor_by_a_variable(self, render, value):
        """It is a mistake in the project, not a visitor's."""
        with pytest.raises(ValueError, match="on_stale='reload'"):
            render('{% juggernaut_subscribe "a" on_stale=what %}', what=value)

    def test_name_with_an_equals_sign_is_a_name(self, render):
        """Only a word before it makes an option."""
        assert render('{% juggernaut_subscribe "a=b" %}')[0]["channel"] == "a=b"

    @pytest.mark.parametrize(
        "tag",
        [
            '{% juggernaut_subscribe "" %}',
            '{% juggernaut_subscribe "user:1" %}',
            '{% juggernaut_subscribe "jugpush:control" %}',
            '{% juggernaut_subscribe "a" refrsh="#x" %}',
            '{% juggernaut_subscribe "a" refresh="#x" refresh="#y" %}',
            '{% juggernaut_subscribe "a" src="/x/" %}',
            '{% juggernaut_subscribe "a" refresh= %}',
            '{% cache 60 x %}{% juggernaut_subscribe "a" %}{% endcache %}',
            '{% cache 60 x %}{% if y %}{% juggernaut_subscribe "a" %}{% endif %}{% endcache %}',
        ],
    )
    def test_mistakes_are_found_when_the_template_is_compiled(self, tag):
        """Not when the first visitor comes."""
        with pytest.raises(TemplateSyntaxError):
            compiled(tag)

    @pytest.mark.parametrize("arguments", ['"x" as y', "as y", '"x" refresh="#a" as y', '"x" as y refresh="#a"'])
    def test_tag_has_no_as(self, arguments):
        """Both words would be channels otherwise: variables that do not exist."""
        with pytest.raises(TemplateSyntaxError, match="has no 'as'"):
            compiled(f"{{% juggernaut_subscribe {arguments} %}}")

    def test_request_is_needed(self):
        """The message says where to get it from."""
        with pytest.raises(ImproperlyConfigured, match="context processor"):
            compiled("{% juggernaut_subscribe %}").render(Context())

    def test_request_from_the_context_is_enough(self, rf):
        """Some renderers pass it as a variable."""
        assert compiled("{% juggernaut_subscribe %}").render(Context({"request": rf.get("/")}))


@pytest.mark.urls(__name__)
@pytest.mark.django_db
class TestCaches:
    @pytest.mark.parametrize("name", ["own", "literal"])
    def test_cached_view_does_not_give_one_visitors_token_to_another(self, client, alice, bob, name):
        """cache_page stores before the session says that the page varies."""
        tokens = set()
        for user in (alice, bob):
            client.force_login(user)
            _, (_, attributes) = elements(client.get(f"/cached/{name}/").text)
            tokens.add(attributes["token"])
        assert len(tokens) == 2

    def test_site_wide_cache_does_not_either(self, client, alice, settings):
        """A page with a token is made anew for each request; one without is kept."""
        settings.MIDDLEWARE = [
            "django.middleware.cache.UpdateCacheMiddleware",
            *settings.MIDDLEWARE,
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
        client.force_login(alice)
        for name, is_kept in (("own", False), ("literal", False), ("public", True)):
            client.get(f"/{name}/")
            with mock.patch("django_jugpush.templatetags.juggernaut.subscribe", return_value="") as asked:
                client.get(f"/{name}/")
            assert asked.called is not is_kept

    @pytest.mark.parametrize("name", ["own", "literal"])
    def test_page_with_a_token_varies_by_cookie(self, client, alice, name):
        """Caches outside of Django keep it apart."""
        client.force_login(alice)
        assert "Cookie" in client.get(f"/{name}/").headers["Vary"]
        client.logout()
        assert "Cookie" in client.get("/literal/").headers["Vary"]

    def test_public_page_stays_cacheable(self, client, alice, monkeypatch):
        """No token, no cookie, no Vary: and Django's cache keeps it."""
        client.force_login(alice)
        response = client.get("/cached/public/")
        assert "token" not in response.text
        assert "Vary" not in response.headers
        assert not response.cookies
        monkeypatch.setattr(declarations, "_channels", [])
        assert client.get("/cached/public/").text == response.text

    def test_token_of_a_visitor_sets_no_cookie(self, client):
        """A page that everybody may see starts no session."""
        response = client.get("/literal/")
        assert "token" in response.text
        assert not response.cookies

    @pytest.mark.parametrize("name", ["include", "child"])
    def test_fragment_that_is_cached_elsewhere_raises(self, rf, name):
        """An include or a parent's block can be in a {% cache %} that the parser does not see."""
        with pytest.raises(TemplateSyntaxError, match="cache"):
            engine().get_template(name).render(RequestContext(rf.get("/")))
        assert cache.get(make_template_fragment_key("x")) is None

    def test_client_is_loaded_once_for_several_tags(self, rf):
        """Includes and loops are one page."""
        tag = '{% for x in "12" %}{% juggernaut_subscribe "banner" %}{% include "public" %}{% endfor %}'
        assert compiled(tag).render(RequestContext(rf.get("/"))).count("<script") == 1


@pytest.mark.skipif(django.VERSION < (6,), reason="Django 6 brings a Content Security Policy.")
@pytest.mark.urls(__name__)
def test_nonce_of_djangos_own_policy_is_honoured(client, settings):
    """The header and the script carry the same one."""
    from django.utils.csp import CSP

    settings.MIDDLEWARE = ["django.middleware.csp.ContentSecurityPolicyMiddleware"]
    settings.SECURE_CSP = {"script-src": [CSP.NONCE]}
    response = client.get("/public/")
    (_, attributes), _ = elements(response.text)
    assert attributes["nonce"]
    assert f"'nonce-{attributes['nonce']}'" in response.headers["Content-Security-Policy"]
