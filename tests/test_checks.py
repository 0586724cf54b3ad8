"""Each check finds its fault, says what to do, and keeps its id."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections, router

from django_jugpush import ModelPush, channel, checks, declarations, discovery, register
from django_jugpush.publishing import receivers, registry
from django_jugpush.publishing.bindings import Binding
from tests.app.models import Note, Order, Restaurant

DUMMY = "django.db.backends.dummy"


@pytest.fixture
def registered(monkeypatch):
    """Undo what a test registers."""
    monkeypatch.setattr(registry, "bindings", dict(registry.bindings))
    monkeypatch.setattr(registry, "conflicts", [])
    monkeypatch.setattr(declarations, "_channels", list(declarations._channels))
    before = set(registry.bindings.values())
    yield
    for binding in set(registry.bindings.values()) - before:
        receivers.disconnect(binding)


def messages():
    """Return what our checks say."""
    return run_checks(tags=[checks.TAG])


def test_all_is_well():
    """With the tests' settings."""
    assert messages() == []


@pytest.mark.django_db(databases="__all__")  # Django's own ask it what it can do
@pytest.mark.parametrize("tags", [None, ["jugpush"]])
def test_the_checks_run_with_djangos_own(settings, tags):
    """And alone, by their tag."""
    settings.JUGPUSH = "redis://"
    with pytest.raises(SystemCheckError, match="jugpush.E002"):
        call_command("check", tags=tags, verbosity=0)


def test_a_setting_that_is_no_dict_is_found(settings):
    """Someone took it for a URL."""
    settings.JUGPUSH = "redis://"
    [message] = messages()
    assert message.id == "jugpush.E002" and message.is_serious()


def test_unknown_keys_and_bad_values_are_all_found(settings):
    """Not one after the other."""
    settings.JUGPUSH = {"BROKR": "dummy://", "MAX_PENDING": -1, "PUBLIC_URL": "push"}
    assert [message.id for message in messages()] == ["jugpush.E001", "jugpush.E002", "jugpush.E002"]
    assert messages()[0].hint == "Did you mean 'BROKER'?"


def test_a_key_that_resembles_none_gets_the_list(settings):
    """There is nothing to guess."""
    settings.JUGPUSH = {"XYZZY": 1}
    [message] = messages()
    assert "BROKER, PUBLIC_URL" in message.hint


@pytest.mark.parametrize("broker", ["pigeon://", "nowhere.Broker", f"{__name__}.messages"])
def test_a_broker_that_does_not_exist_is_found(settings, broker):
    """Before the first publication."""
    settings.JUGPUSH = {"BROKER": broker}
    [message] = messages()
    assert message.id == "jugpush.E002" and broker.rstrip(":/") in message.msg


@pytest.mark.parametrize("path", ["nowhere.name", f"{__name__}.TAG"])
def test_a_naming_of_users_that_does_not_exist_is_found(settings, path):
    """It would fail at each page."""
    settings.JUGPUSH = {"USER_CHANNEL": path}
    [message] = messages()
    assert message.id == "jugpush.E002" and path in message.msg


def test_a_naming_of_users_that_exists_is_taken(settings):
    """It is not called."""
    settings.JUGPUSH = {"USER_CHANNEL": f"{__name__}.messages"}
    assert messages() == []


@pytest.mark.parametrize("other", ["django.contrib.staticfiles", "daphne"])
def test_an_app_whose_runserver_would_win_is_found(settings, other):
    """Pages would never connect."""
    before = [name for name in settings.INSTALLED_APPS if name not in ("django_jugpush", other)]
    apps.set_installed_apps([other, "django_jugpush", *before])
    try:
        [message] = messages()
    finally:
        apps.unset_installed_apps()
    assert message.id == "jugpush.E003" and other in message.msg


def test_a_second_registration_is_found_with_both_places(registered):
    """The one that counts is the first."""
    register(Order)(ModelPush)
    [message] = messages()
    assert message.id == "jugpush.E004" and message.obj is Order
    assert "tests/app/push.py:" in message.msg and "tests/test_checks.py:" in message.msg


@pytest.mark.parametrize("name", ["nonsense", "customer__name", "orders"])
def test_a_field_without_a_column_is_found(registered, name):
    """Misspelt, a lookup, or the other side of a relation."""

    class NotePush(ModelPush[Note]):
        fields = ["text", name]

    register(Note)(NotePush)
    [message] = messages()
    assert message.id == "jugpush.E006" and repr(name) in message.msg and "text" in message.hint


@pytest.mark.parametrize("names", [["nonsense"], ["customer", "customer__nonsense"], ["status"], ["customer_id"]])
def test_a_relation_that_cannot_be_followed_is_found(registered, names):
    """Misspelt, here or further on, or no relation."""
    registry.bindings[Order] = Binding(
        model=Order, push=type("OrderPush", (ModelPush,), {"select_related": names})(), place="here"
    )
    [message] = messages()
    assert message.id == "jugpush.E006" and message.obj is Order
    assert "OrderPush.select_related" in message.msg and names[-1].split("__")[-1] in message.msg
    assert "app.order" in message.hint


@pytest.mark.parametrize("names", [[], ["customer", "owner"], ("place_ptr",)])
def test_relations_that_can_be_followed_are_well(registered, names):
    """None at all too."""
    model = Restaurant if "place_ptr" in names else Order
    push = type("OtherPush", (ModelPush,), {"select_related": names})()
    registry.bindings[model] = Binding(model=model, push=push, place="here")
    assert messages() == []


def test_relations_are_not_followed_without_a_database(registered, settings, monkeypatch):
    """A project may have none that is the default."""
    monkeypatch.setattr(router, "db_for_read", lambda model, **hints: "none")
    monkeypatch.setitem(connections.settings, "none", {**connections.settings["default"], "ENGINE": DUMMY})
    assert messages() == []
    del connections["none"]


@pytest.mark.parametrize("option", ["fields", "select_related"])
def test_text_in_place_of_a_list_is_found(registered, option):
    """Python takes it for a list of letters."""
    binding = Binding(model=Note, push=type("NotePush", (ModelPush,), {option: "text"})(), place="here")
    registry.bindings[Note] = binding
    [message] = messages()
    assert message.id == "jugpush.E006" and "['text']" in message.hint


def test_two_patterns_for_one_name_are_found(registered):
    """With the name."""
    channel("room:<str:name>", public=True)
    channel("room:<int:pk>", public=True)
    [message] = messages()
    assert message.id == "jugpush.E007" and "room:<int:pk>" in message.msg


def test_a_module_that_failed_is_found_with_the_end_of_its_traceback(monkeypatch):
    """Where it happened, and what."""
    try:
        int("seven")
    except ValueError as error:
        monkeypatch.setattr(discovery, "failures", [discovery.Failure("shop.push", error)])
    [message] = messages()
    assert message.id == "jugpush.E005"
    assert __file__ in message.msg and "ValueError: invalid literal" in message.msg


def test_a_module_that_registers_nothing_is_pointed_out(monkeypatch):
    """Perhaps a decorator was forgotten; perhaps it is another library's."""
    monkeypatch.setattr(discovery, "idle", ["shop.push"])
    [message] = messages()
    assert message.id == "jugpush.W001" and not message.is_serious()


def test_settings_that_let_no_page_connect_are_found(settings):
    """A wildcard among the hosts says nothing about pages."""
    settings.ALLOWED_HOSTS = ["*"]
    assert [message.id for message in messages()] == ["jugpush.W002"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://www.example.com"]
    assert messages() == []
    settings.CSRF_TRUSTED_ORIGINS, settings.ALLOWED_HOSTS = [], ["*", "www.example.com"]
    assert messages() == []
    settings.ALLOWED_HOSTS, settings.DEBUG = ["*"], True
    assert messages() == []


def deployment_messages():
    """Return the ids of what our checks say before a deployment."""
    return [message.id for message in run_checks(tags=[checks.TAG], include_deployment_checks=True)]


PRODUCTION = {"BROKER": "redis://127.0.0.1:6379/0", "NAMESPACE": "shop"}


@pytest.mark.parametrize(
    "setting",
    [
        PRODUCTION,
        PRODUCTION | {"PUBLIC_URL": "https://push.example.com/"},
        PRODUCTION | {"SERVER_URL": "http://push:8080/juggernaut/"},  # nothing is published that way
        {"SERVER_URL": "http://127.0.0.1:8080/juggernaut/"},
        {"SERVER_URL": "http://localhost:8080/juggernaut/"},
        {"SERVER_URL": "http://[::1]:8080/juggernaut/"},
        {"SERVER_URL": "https://push.internal/juggernaut/"},
    ],
)
def test_a_site_that_can_be_deployed(settings, setting):
    """There is nothing to say."""
    settings.JUGPUSH = setting
    assert deployment_messages() == []


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({}, "jugpush.W003"),
        ({"BROKER": "dummy://"}, "jugpush.E008"),
        ({"BROKER": "redis://127.0.0.1:6379/0"}, "jugpush.W004"),
        ({"BROKER": "juggernaut+redis://127.0.0.1:6379/0"}, "jugpush.W004"),
        (PRODUCTION | {"PUBLIC_URL": "http://push.example.com/"}, "jugpush.E009"),
        ({"SERVER_URL": "http://push:8080/juggernaut/"}, "jugpush.E010"),
        ({"SERVER_URL": "http://10.0.0.7:8080/juggernaut/"}, "jugpush.E010"),
    ],
)
def test_what_is_not_for_production_is_found(settings, setting, expected):
    """And only before a deployment: in development each of them is well."""
    settings.JUGPUSH = setting
    assert deployment_messages() == [expected]
    assert messages() == []


@pytest.mark.parametrize(
    ("namespace", "expected"), [("shop", ["jugpush.W005"]), ("tests.app.tenants.name", [])], ids=["text", "function"]
)
def test_tenants_that_share_their_channels_are_found(settings, monkeypatch, namespace, expected):
    settings.JUGPUSH = PRODUCTION | {"NAMESPACE": namespace}
    monkeypatch.setattr(checks.apps, "is_installed", lambda name: name == "django_tenants")
    assert deployment_messages() == expected
