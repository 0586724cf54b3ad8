"""Rows that say who may listen: ``ModelPush.revokes``."""

from __future__ import annotations

import pytest
from django.core import serializers

from django_jugpush import Channel, ModelPush, register
from django_jugpush.access import revocation
from django_jugpush.access.control import open_control
from django_jugpush.publishing import receivers, registry
from django_jugpush.publishing.suppression import suppress_publishing
from tests.app.models import Note, Order

from .test_registry import clean  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch):
    """What push servers are told: (users, channel) of each message."""
    messages = []

    def send(publications, using):
        opened = map(open_control, publications)
        messages.extend((message.users, message.channel) for message in opened)

    monkeypatch.setattr(revocation, "_send", send)
    return messages


@pytest.fixture
def memberships(clean):  # noqa: F811
    """A model whose rows are members of the channel that they name."""

    @register(Note)
    class NotePush(ModelPush[Note]):
        def revokes(self, note):
            return [note.text]


def test_row_is_looked_at_before_and_after_each_change(memberships, told):
    """Whoever a row has moved away from has lost something, too."""
    note = Note.objects.create(text="a")
    assert told == [((), "a")]
    note.text = "b"
    note.save()
    assert told[1:] == [((), "a"), ((), "b")]
    told.clear()
    Note.objects.all().delete()
    assert told == [((), "b")]


def test_model_that_is_registered_no_more_is_not_looked_at(memberships, told, django_assert_num_queries):
    note = Note.objects.create(text="a")
    told.clear()
    receivers.disconnect(registry.bindings[Note])
    with django_assert_num_queries(1):
        note.save()
    assert told == []


def test_suppressed_publishing_keeps_nobody_in(memberships, told):
    """What is not published may still have ended a right."""
    with suppress_publishing():
        Note.objects.create(text="a")
    assert told == [((), "a")]


def test_fixture_is_not_looked_at(memberships, told):
    """It is loaded in any order, so what a row refers to may be missing."""
    (note,) = serializers.deserialize("json", '[{"model": "app.note", "pk": 7, "fields": {"text": "a"}}]')
    note.save()
    assert Note.objects.get(pk=7).text == "a"
    assert told == []


def test_other_models_pay_nothing(django_assert_num_queries, told):
    """No query reads the row as it was."""
    order = Order.objects.create()
    with django_assert_num_queries(1):
        order.save()
    assert told == []


def test_failure_costs_no_save(clean, told, caplog):  # noqa: F811
    @register(Note)
    class NotePush(ModelPush[Note]):
        def revokes(self, note):
            raise RuntimeError("a fault of the project")

    Note.objects.create(text="a")
    assert "NotePush.revokes() failed" in caplog.text


def test_users_channels_and_pairs_can_be_named(alice, told):
    pk = (str(alice.pk),)
    order = Order.objects.create()
    plain = Channel("plain")
    revocation.reauthorize_targets([alice, order, "a", plain, (alice, order), (alice, "a"), None], "default")
    name = f"app.order:{order.pk}"
    assert told == [(pk, None), ((), name), ((), "a"), ((), "plain"), (pk, name), (pk, "a")]
