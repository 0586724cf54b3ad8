"""Messages to push servers: signed, for all tenants, kept longer than any token."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from django.core import signing

import django_jugpush as push
from django_jugpush.access import control, revocation
from django_jugpush.access.control import control_channel, make_control, open_control
from django_jugpush.access.logins import named_login
from django_jugpush.core.control import CONTROL_HISTORY
from django_jugpush.core.publication import Publication
from django_jugpush.core.revocation import KEPT
from tests.app.models import Order


def text_of(publication):
    return json.loads(bytes(publication.data))


def with_data(publication, data):
    return msgspec.structs.replace(publication, data=msgspec.Raw(data))


def test_message_is_read_as_it_was_made():
    publication = make_control("revoke", users=("1",), login="L1", is_final=True)
    message = open_control(publication)
    assert (message.kind, message.users, message.login, message.is_final) == ("revoke", ("1",), "L1", True)
    assert (message.id, message.namespace) == (publication.id, "jugpush")
    assert abs(message.at - time.time()) < 5


def test_stream_keeps_messages_longer_than_any_token_lives():
    publication = make_control("reauthorize")
    assert publication.history == CONTROL_HISTORY == (10_000, 13 * 3600)
    assert CONTROL_HISTORY[1] == KEPT
    assert publication.full_name == control_channel()


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"{}",
        b'"x"',
        b"not json",
        b'"\xff"',
        b"[" * 100_000,
        b'{"kind":"revoke","users":["1"]}',
        json.dumps(signing.Signer(salt="jugpush.control").sign("1.e30")).encode(),
    ],
)
def test_what_is_not_signed_is_nothing(data):
    assert open_control(with_data(make_control("reauthorize"), data)) is None


def test_changed_message_is_nothing():
    text = text_of(make_control("reauthorize", users=("1",)))
    for position in (2, 10, -1):
        changed = f"{text[:position]}{'A' if text[position] != 'A' else 'B'}{text[position:][1:]}"
        assert open_control(with_data(make_control("reauthorize"), json.dumps(changed).encode())) is None


def test_message_of_a_later_version_is_nothing(monkeypatch):
    """It may mean something else."""
    with monkeypatch.context() as later:
        later.setattr(control, "_VERSION", "2")
        publication = make_control("reauthorize")
    assert open_control(publication) is None


def test_other_projects_message_is_nothing(settings):
    publication = make_control("reauthorize")
    settings.JUGPUSH = {"NAMESPACE": "staging"}
    assert open_control(publication) is None


def test_former_key_is_still_taken(settings):
    publication = make_control("reauthorize")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the tests"
    assert open_control(publication)


def test_tenants_share_the_channel_and_not_the_users(settings):
    from tests.app.tenants import tenant

    settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name"}
    with tenant("one"):
        publication = make_control("reauthorize", users=("1",))
    assert publication.full_name == control_channel() == "tests.app.tenants.name:jugpush:control"
    assert open_control(publication).namespace == "one"


def test_foreign_publication_on_the_channel_is_nothing():
    assert open_control(Publication(id="1", channel="jugpush:control", data=msgspec.Raw(b'{"data":1}'))) is None


@pytest.mark.django_db
class TestPublicNames:
    def test_reauthorize_names_users(self, alice, bob, told, django_user_model):
        """One, several, a queryset, or primary keys."""
        both = (str(alice.pk), str(bob.pk))
        push.reauthorize(alice)
        push.reauthorize([alice, bob.pk, str(bob.pk)])
        push.reauthorize(django_user_model.objects.order_by("pk"))
        push.reauthorize(bob.pk)
        push.reauthorize(str(bob.pk))
        assert [message.users for message in told] == [both[:1], both, both, both[1:], both[1:]]
        assert {message.kind for message in told} == {"reauthorize"}

    def test_reauthorize_names_a_channel(self, alice, told):
        order = Order.objects.create()
        push.reauthorize(channel=order)
        push.reauthorize(alice, "stats")
        assert [(message.users, message.channel) for message in told] == [
            ((), f"app.order:{order.pk}"),
            ((str(alice.pk),), "stats"),
        ]

    def test_reauthorize_without_anything_asks_everybody(self, told):
        push.reauthorize()
        assert told[0].is_for_everyone

    def test_nobody_is_nobody(self, django_user_model, told):
        """An empty queryset does not stand for everybody."""
        push.reauthorize(django_user_model.objects.none())
        push.reauthorize([])
        push.disconnect([])
        push.revoke([])
        assert told == []

    def test_disconnect_and_revoke(self, alice, told):
        push.disconnect(alice)
        push.revoke(alice)
        push.revoke(alice, login="device-7")
        pk = str(alice.pk)
        assert [(message.kind, message.users, message.login) for message in told] == [
            ("disconnect", (pk,), None),
            ("revoke", (pk,), None),
            ("revoke", (pk,), named_login(pk, "device-7")),
        ]
        assert not any(message.is_final for message in told)

    def test_commit_of_the_users_database_is_waited_for(self, alice, settings, monkeypatch):
        """Unless somebody says another."""
        waited_for = []
        monkeypatch.setattr(revocation, "_send", lambda messages, using: waited_for.append(using))
        settings.DATABASE_ROUTERS = [UsersElsewhere()]
        push.revoke(alice.pk)
        revocation.revoke_users([alice.pk], using="default")
        assert waited_for == ["other", "default"]


class UsersElsewhere:
    """A router of databases."""

    def db_for_write(self, model, **hints):
        return "other"
