"""What Django sends no signal of is found when it is looked for."""

from __future__ import annotations

import pytest
from django.db import models

from django_jugpush.access import sweep
from django_jugpush.access.logins import fingerprint, fingerprints
from django_jugpush.access.sweep import find_changed
from tests.app import tenants

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_connection(monkeypatch):
    """Keep the test's transaction: here there is no thread."""
    monkeypatch.setattr(sweep, "close_old_connections", lambda: None)


def connected(*users, namespace="jugpush"):
    return {(namespace, str(user.pk)): {fingerprint(user)} for user in users}


def test_users_who_are_as_they_were_are_no_news(alice, bob):
    assert find_changed(connected(alice, bob)) == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "md5$x"}, {"is_staff": True}])
def test_update_is_found(alice, bob, django_user_model, change):
    before = connected(alice, bob)
    django_user_model.objects.filter(pk=alice.pk).update(**change)
    (message,) = find_changed(before)
    alice.refresh_from_db()
    assert (message.kind, message.users, message.fingerprints) == (
        "reauthorize",
        (str(alice.pk),),
        fingerprints(alice),
    )


def test_user_whom_the_default_manager_hides_is_looked_at(alice, django_user_model, monkeypatch):
    """Some hide who is not active, or is of another site."""

    class Hiding(models.Manager):
        def get_queryset(self):
            return super().get_queryset().none()

    hiding = Hiding()
    hiding.model = django_user_model
    monkeypatch.setitem(django_user_model._meta.__dict__, "default_manager", hiding)
    assert not django_user_model._default_manager.exists()
    assert find_changed(connected(alice)) == []


def test_user_who_is_gone_has_no_fingerprint(alice, django_user_model):
    before = connected(alice)
    django_user_model.objects.filter(pk=alice.pk)._raw_delete("default")
    (message,) = find_changed({**before, ("jugpush", "no key"): {"x"}})[:1]
    assert (message.users, message.fingerprints) == ((str(alice.pk),), ())


def test_one_of_several_grants_may_be_out_of_date(alice):
    held = {("jugpush", str(alice.pk)): {fingerprint(alice), "0" * 16}}
    assert len(find_changed(held)) == 1


def test_thousand_users_are_one_query(django_user_model, django_assert_num_queries):
    users = django_user_model.objects.bulk_create(
        [django_user_model(username=f"user{number}") for number in range(1500)]
    )
    before = connected(*users)
    with django_assert_num_queries(2):
        assert find_changed(before) == []
    with django_assert_num_queries(0):
        assert find_changed({}) == []


def test_tenants_are_looked_at_from_inside(alice, settings, monkeypatch):
    """And without a way in, not at all."""
    settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name", "IN_NAMESPACE": "tests.app.tenants.tenant"}
    seen = []
    read = sweep._read
    monkeypatch.setattr(sweep, "_read", lambda part: seen.append((tenants.name(), list(part))) or read(part))
    held = {("one", "998"): {"x"}, ("two", "999"): {"x"}}
    assert [message.namespace for message in find_changed(held)] == ["one", "two"]
    assert seen == [("one", ["998"]), ("two", ["999"])]
    settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name"}
    assert find_changed(held) == []
