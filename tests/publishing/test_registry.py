"""Models are registered once, by the table they have."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from django_jugpush import ModelPush, register
from django_jugpush.publishing import receivers, registry
from tests.app.models import Customer, Export, Note, Order, Place, Restaurant, UrgentOrder


@pytest.fixture
def clean(monkeypatch):
    """Undo what a test registers."""
    monkeypatch.setattr(registry, "bindings", dict(registry.bindings))
    monkeypatch.setattr(registry, "conflicts", [])
    before = set(registry.bindings.values())
    yield
    for binding in set(registry.bindings.values()) - before:
        receivers.disconnect(binding)


def test_push_modules_are_found():
    """Each app's, as the admin finds admin.py."""
    assert set(registry.bindings) >= {Customer, Export, Order, Place}
    assert registry.counts() == len(registry.bindings)


def test_the_class_is_handed_back(clean):
    """So that it can be subclassed and tested."""

    @register(Note)
    class NotePush(ModelPush[Note]):
        pass

    assert NotePush.__name__ == "NotePush"
    assert isinstance(registry.bindings[Note].push, NotePush)


@pytest.mark.django_db(transaction=True)
def test_what_is_registered_late_is_published(clean, broker):
    """In a shell, or in a module that is imported when it is needed."""
    register(Note)(ModelPush)
    note = Note.objects.create(text="a")
    assert broker.events() == [("created", "app.note", note.pk)]


def test_a_second_registration_is_remembered_and_not_used(clean):
    """A check names both places."""
    first = registry.bindings[Order]
    register(UrgentOrder)(ModelPush)
    [(kept, refused)] = registry.conflicts
    assert kept is first is registry.bindings[Order]
    assert refused.model is UrgentOrder
    assert first.place.endswith("push.py:10") and __file__ in refused.place


@pytest.mark.django_db(transaction=True)
def test_a_module_that_is_imported_again_is_no_second_registration(clean, broker):
    """As one is that failed the first time."""
    for _ in range(2):
        register(Note)(ModelPush)
    Note.objects.create(text="a")
    assert not registry.conflicts
    assert len(broker.publications) == 1


@pytest.mark.django_db(transaction=True)
def test_a_parent_and_its_child_may_both_be_registered(clean, broker):
    """They are two tables, with a channel each."""
    register(Restaurant)(ModelPush)
    restaurant = Restaurant.objects.create(name="Rome")
    pk = restaurant.pk
    restaurant.delete()
    assert sorted(broker.events()) == sorted(
        (event, f"app.{model}", pk) for event in ("created", "deleted") for model in ("place", "restaurant")
    )
    assert {name for name, _ in broker.messages} == {f"app.place:{pk}", f"app.restaurant:{pk}"}


def test_only_models_with_a_table_are_taken():
    """Before it is too late to see why nothing is published."""

    class Abstract(models.Model):
        class Meta:
            abstract = True
            app_label = "app"

    for model in (Abstract, "app.Order", Order()):
        with pytest.raises(ImproperlyConfigured):
            register(model)


def test_only_modelpush_is_taken():
    """Also if the brackets were forgotten."""
    with pytest.raises(ImproperlyConfigured):
        register(Note)(object)
    with pytest.raises(ImproperlyConfigured):

        @register
        class NotePush(ModelPush[Note]):
            pass
