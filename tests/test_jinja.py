from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.template.backends.jinja2 import Jinja2

from django_jugpush import declarations
from tests.test_html import elements


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    monkeypatch.setattr(declarations, "_channels", [])
    declarations.channel("banner", public=True)


@pytest.fixture
def template():
    """Compile a template as a project's Jinja2 backend does."""
    options = {"extensions": ["django_jugpush.jinja.JuggernautExtension"]}
    backend = Jinja2({"NAME": "jinja2", "DIRS": [], "APP_DIRS": False, "OPTIONS": options})
    return backend.from_string


@pytest.fixture
def request_(rf):
    request = rf.get("/")
    request.user = AnonymousUser()
    return request


def test_markup_is_that_of_the_tag(template, request_):
    """Jinja2's own escaping leaves it alone."""
    tag = "{{ juggernaut_subscribe('banner', refresh='#x', src='/?a&b', on_stale='reload') }}"
    script, (_, attributes) = elements(template(tag).render({}, request_))
    assert script[0] == "script"
    assert attributes.pop("since")
    assert attributes == {"channel": "banner", "refresh": "#x", "src": "/?a&b", "on-stale": "reload"}


def test_page_that_is_stale_can_be_reloaded_and_nothing_else(template, request_):
    """As in the tag."""
    with pytest.raises(ValueError, match="'reload' and nothing else"):
        template("{{ juggernaut_subscribe('banner', on_stale='refresh') }}").render({}, request_)


def test_text_needs_a_rule_unless_the_template_grants_it(template, request_):
    """A function cannot tell a literal from what a visitor typed."""
    assert "token" not in template("{{ juggernaut_subscribe('orders') }}").render({}, request_)
    assert "token" in template("{{ juggernaut_subscribe('orders', grant=True) }}").render({}, request_)


@pytest.mark.django_db
def test_grant_opens_no_reserved_name_and_overrules_no_rule(template, request_):
    """It is a literal's worth, not more."""
    declarations.channel("guarded", lambda user: False)
    for name in ("user:1", "guarded"):
        markup = template("{{ juggernaut_subscribe(name, grant=True) }}").render({"name": name}, request_)
        assert "token" not in markup


def test_client_is_loaded_once(template, request_):
    """As by the tag, also where templates of both languages make one page."""
    markup = template("{{ juggernaut_subscribe('banner') }}{{ juggernaut_subscribe('banner') }}").render({}, request_)
    assert markup.count("<script") == 1


def test_request_is_needed(template):
    """The message says what is missing."""
    with pytest.raises(ImproperlyConfigured, match="request"):
        template("{{ juggernaut_subscribe() }}").render({})
