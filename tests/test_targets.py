"""What a channel can be named by."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe

from django_jugpush import Channel, channel_name, user_channel
from django_jugpush.exceptions import InvalidChannel
from django_jugpush.targets import channel_names
from tests.app.models import Export, Order, Restaurant, UrgentOrder


def initials(user):
    return user.username[:1]


def test_text_is_taken_as_it_is():
    """As plain text, whatever it was."""
    name = channel_name(mark_safe("orders"))
    assert name == "orders" and type(name) is str


@pytest.mark.parametrize("name", ["", "a\n", "x" * 201, "ä" * 101, "a\u202eb", "e\u0301"])
def test_text_that_is_no_name_raises(name):
    """The rules are those of the protocol."""
    with pytest.raises(InvalidChannel):
        channel_name(name)


def test_an_instance_is_named_by_model_and_key():
    """Of the concrete model: a proxy's row is the same row."""
    key = uuid.uuid4()
    assert channel_name(Order(pk=7)) == channel_name(UrgentOrder(pk=7)) == "app.order:7"
    assert channel_name(Export(pk=key)) == f"app.export:{key}"
    assert channel_name(Restaurant(pk=7)) == "app.restaurant:7"


def test_an_instance_that_is_not_saved_raises():
    """``app.order:None`` would be everybody's."""
    with pytest.raises(InvalidChannel, match="save it first"):
        channel_name(Order())


def test_a_user_is_named_by_key(django_user_model):
    """Also behind ``request.user``, which is lazy."""
    user = django_user_model(pk=42)
    assert channel_name(user) == user_channel(SimpleLazyObject(lambda: user)) == "user:42"


def test_a_project_may_name_its_users(django_user_model, settings):
    """Within the reserved namespace."""
    settings.JUGPUSH = {"USER_CHANNEL": f"{__name__}.initials"}
    assert channel_name(django_user_model(pk=42, username="alice")) == "user:a"


@pytest.mark.parametrize("user", [AnonymousUser(), None, Order(pk=7), "alice"])
def test_who_is_no_user_has_no_users_channel(user):
    """Least of all an anonymous visitor."""
    with pytest.raises(TypeError):
        user_channel(user)


def test_a_user_that_is_not_saved_raises(django_user_model):
    """There is no key."""
    with pytest.raises(InvalidChannel):
        user_channel(django_user_model())


def test_a_declared_channel_names_itself():
    """If it has no parameters."""
    assert channel_name(Channel("banner", public=True)) == "banner"
    with pytest.raises(TypeError):
        channel_name(Channel("export:<int:pk>", public=True))


def test_several_targets_are_named_once_each_in_order():
    """From any iterable, leaving out what a nullable foreign key does not point to."""
    targets = ["b", Order(pk=7), None, "a", UrgentOrder(pk=7), "b"]
    for several in (targets, tuple(targets), iter(targets), dict.fromkeys(["b"]).keys()):
        assert channel_names(several)[0] == "b"
    assert channel_names(targets) == ["b", "app.order:7", "a"]
    assert channel_names("b") == ["b"]


@pytest.mark.parametrize("to", [None, 7, b"orders", {"orders": 1}, [["orders"]], Order, AnonymousUser()])
def test_what_is_no_target_raises(to):
    """With a sentence that says what is one."""
    with pytest.raises(TypeError, match="is no channel: give a name"):
        channel_names(to)


def test_a_queryset_is_no_target():
    """It would be a query, for as many channels as the table has rows."""
    with pytest.raises(TypeError):
        channel_names(Order.objects.all())


def test_without_users_instances_still_have_names(settings):
    """A project need not install ``django.contrib.auth``."""
    settings.AUTH_USER_MODEL = "missing.User"
    assert channel_name(Order(pk=7)) == "app.order:7"
