"""What Django says of logins and rights, and what push servers are told of it."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY, login, logout, update_session_auth_hash
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_jugpush.access import receivers
from django_jugpush.access.logins import LOGIN_KEY, fingerprint, fingerprints
from django_jugpush.core.control import CONTROL_CHANNEL, MAX_USERS
from tests.app import tenants
from tests.publishing.conftest import broker  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_(rf):
    request = rf.get("/")
    request.session = SessionStore()
    request.user = AnonymousUser()
    return request


def sign_in(request, user):
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return request.session[LOGIN_KEY][0]


def whom(messages):
    """Return (kind, users, login) of each."""
    return [(message.kind, message.users, message.login) for message in messages]


class TestLogins:
    def test_logout_ends_the_login_for_good(self, request_, alice, told):
        first = sign_in(request_, alice)
        told.clear()
        logout(request_)
        final = told[0]
        assert whom([final]) == [("revoke", (str(alice.pk),), first)]
        assert final.is_final

    def test_login_tells_nothing(self, request_, alice, told):
        """Not even that ``last_login`` was saved."""
        sign_in(request_, alice)
        assert told == []

    def test_login_once_more_ends_nothing(self, request_, alice, told):
        """It is the same login, whose pages are open."""
        first = sign_in(request_, alice)
        assert sign_in(request_, alice) == first
        assert told == []

    def test_logout_of_nobody_tells_nothing(self, request_, told):
        """Some code logs out whoever comes."""
        logout(request_)
        assert told == []

    def test_login_of_another_owner_in_the_same_session_ends(self, request_, alice, told):
        """Where the session's data were kept over the change of user."""
        request_.session[LOGIN_KEY] = ["x" * 22, "999"]
        sign_in(request_, alice)
        assert whom(told) == [("revoke", ("999",), "x" * 22)]

    def test_visitors_id_is_replaced_in_silence(self, request_, alice, told):
        """It was no login."""
        request_.session[LOGIN_KEY] = ["x" * 22, ""]
        assert sign_in(request_, alice) != "x" * 22
        assert told == []

    def test_login_over_another_users_session_asks_for_that_login(self, request_, alice, bob, told):
        """Django flushes it without a word; the row that is deleted tells."""
        first = sign_in(request_, alice)
        request_.session.save()
        told.clear()
        sign_in(request_, bob)
        assert ("reauthorize", (str(alice.pk),), first) in whom(told)

    def test_deleted_session_is_a_soft_end(self, request_, alice, told):
        """By hand or in the admin: only the site can tell whether that was a logout."""
        first = sign_in(request_, alice)
        request_.session.save()
        told.clear()
        Session.objects.all().delete()
        assert whom(told) == [("reauthorize", (str(alice.pk),), first)]

    def test_session_that_had_expired_is_no_news(self, request_, alice, told):
        """``clearsessions`` tells nobody anything."""
        sign_in(request_, alice)
        request_.session.save()
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
        told.clear()
        call_command("clearsessions")
        assert not Session.objects.exists()
        assert told == []

    def test_session_without_a_login_is_no_news(self, told):
        SessionStore().save()
        Session.objects.all().delete()
        assert told == []


class TestUsers:
    @pytest.mark.parametrize(
        "change", [{"password": "md5$x"}, {"is_active": False}, {"is_staff": True}, {"is_superuser": True}]
    )
    def test_save_tells_the_fingerprint(self, alice, told, change):
        for name, value in change.items():
            setattr(alice, name, value)
        alice.save()
        (message,) = told
        assert message.kind == "reauthorize"
        assert (message.users, message.fingerprints) == ((str(alice.pk),), fingerprints(alice))

    def test_own_password_change_tells_it_once(self, request_, alice, told):
        sign_in(request_, alice)
        told.clear()
        alice.set_password("other")
        alice.save()
        update_session_auth_hash(request_, alice)
        assert [message.fingerprints for message in told if message.fingerprints] == [fingerprints(alice)]

    def test_save_of_other_fields_tells_nothing(self, alice, django_user_model, told):
        """Neither a login's date nor an instance on which nothing that counts was loaded."""
        alice.save(update_fields=["last_login", "first_name"])
        django_user_model.objects.only("first_name").get(pk=alice.pk).save()
        assert told == []

    def test_save_of_one_field_that_counts_tells(self, alice, django_user_model, told):
        """A hash that is upgraded at a login, too; and where the password was not loaded."""
        alice.save(update_fields=["password"])
        user = django_user_model.objects.defer("password").get(pk=alice.pk)
        user.is_active = False
        user.save()
        assert len(told) == 2
        assert told[1].fingerprints[0] == fingerprint(user) != told[0].fingerprints[0]

    def test_new_user_is_no_news(self, django_user_model, told):
        django_user_model.objects.create_user("carol")
        assert told == []

    def test_deletion_is_hard(self, alice, bob, django_user_model, told):
        pks = {str(alice.pk), str(bob.pk)}
        django_user_model.objects.all().delete()
        assert {message.kind for message in told} == {"revoke"}
        assert {user for message in told for user in message.users} == pks


@pytest.fixture
def team(alice, bob):
    """A group with Alice and Bob in it, and a permission that they have by it."""
    group = Group.objects.create(name="team")
    permission = Permission.objects.first()
    group.permissions.add(permission)
    group.user_set.add(alice, bob)
    return group


class TestPermissions:
    @pytest.mark.parametrize(
        "change",
        [
            lambda user, group: user.groups.add(group),
            lambda user, group: group.user_set.add(user),
            lambda user, group: user.user_permissions.add(Permission.objects.first()),
            lambda user, group: Permission.objects.first().user_set.add(user),
            lambda user, group: user.groups.clear(),
            lambda user, group: user.groups.set([group]),
        ],
    )
    def test_users_own_groups_and_permissions(self, django_user_model, team, told, change):
        carol = django_user_model.objects.create_user("carol")
        change(carol, team)
        assert whom(told) == [("reauthorize", (str(carol.pk),), None)]

    @pytest.mark.parametrize(
        "change",
        [
            lambda group: group.user_set.clear(),
            lambda group: group.user_set.set([]),
            lambda group: group.permissions.clear(),
            lambda group: group.permissions.remove(Permission.objects.first()),
            lambda group: group.permissions.add(Permission.objects.last()),
            lambda group: Permission.objects.first().group_set.remove(group),
            lambda group: Permission.objects.first().group_set.clear(),
            lambda group: group.delete(),
            lambda group: Group.objects.all().delete(),
            lambda group: Permission.objects.filter(group=group).delete(),
        ],
    )
    def test_members_are_asked_when_their_group_changes(self, alice, bob, team, told, change):
        """Read before the change: afterwards nobody knows who they were."""
        change(team)
        assert {user for message in told for user in message.users} == {str(alice.pk), str(bob.pk)}
        assert {message.kind for message in told} == {"reauthorize"}

    def test_permission_of_a_user_that_is_deleted(self, alice, told):
        alice.user_permissions.add(Permission.objects.first())
        told.clear()
        Permission.objects.first().delete()
        assert whom(told) == [("reauthorize", (str(alice.pk),), None)]

    def test_what_changes_nothing_tells_nothing(self, alice, team, told):
        alice.groups.add(team)
        assert told == []

    def test_large_group_is_told_in_parts_and_a_huge_one_as_everybody(self, django_user_model, told, monkeypatch):
        users = django_user_model.objects.bulk_create(
            [django_user_model(username=f"user{number}") for number in range(MAX_USERS + 1)]
        )
        group = Group.objects.create(name="large")
        through = django_user_model.groups.through
        through.objects.bulk_create([through(user=user, group=group) for user in users])
        group.user_set.clear()
        assert [len(message.users) for message in told] == [MAX_USERS, 1]
        monkeypatch.setattr(receivers, "MAX_MEMBERS", 1)
        told.clear()
        through.objects.bulk_create([through(user=user, group=group) for user in users])
        group.delete()
        assert [message.is_for_everyone for message in told] == [True]


def test_failure_to_tell_is_logged_and_fails_no_request(request_, alice, told, monkeypatch, caplog):
    def fail(*arguments):
        raise RuntimeError("no keys")

    sign_in(request_, alice)
    monkeypatch.setattr("django_jugpush.access.revocation._send", fail)
    logout(request_)
    assert SESSION_KEY not in request_.session
    assert [record.levelno for record in caplog.records][-1:] == [logging.ERROR]
    assert "_on_logout" in caplog.text


@pytest.mark.django_db(transaction=True)
class TestCommit:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch):
        monkeypatch.setattr(receivers, "_told", receivers.OrderedDict())

    def test_message_leaves_with_the_commit(self, alice, broker):  # noqa: F811
        """In one batch with what is published in the same transaction."""
        with transaction.atomic():
            alice.is_active = False
            alice.save()
            alice.groups.add(Group.objects.create(name="x"))
            assert not broker.batches
        (batch,) = broker.batches
        assert [publication.channel for publication in batch] == [CONTROL_CHANNEL] * 2

    def test_rollback_tells_nothing_and_remembers_nothing(self, alice, broker):  # noqa: F811
        """The same change, done again, is told."""
        alice.is_active = False
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            alice.save()
            1 / 0  # noqa: B018
        assert not broker.batches
        alice.save()
        assert len(broker.batches) == 1

    def test_fingerprint_is_told_once(self, alice, broker):  # noqa: F811
        for _ in range(3):
            with transaction.atomic():
                alice.save()
            alice.save()
        assert len(broker.batches) == 1
        alice.is_active = False
        alice.save()
        assert len(broker.batches) == 2

    @pytest.mark.parametrize("how", ["read", "refreshed"])
    def test_what_another_process_changed_back_is_told_again(self, alice, broker, django_user_model, how):  # noqa: F811
        """A worker takes a flag away, another one gives it back, and the first takes it away again."""
        alice.is_active = False
        alice.save()
        django_user_model.objects.filter(pk=alice.pk).update(is_active=True)  # this process hears nothing of it
        if how == "read":
            alice = django_user_model.objects.get(pk=alice.pk)
        else:
            alice.refresh_from_db()
        alice.is_active = False
        alice.save()
        assert len(broker.batches) == 2

    def test_tenants_are_told_apart(self, alice, broker, settings):  # noqa: F811
        """A user who was copied into another tenant has the same key and the same password."""
        settings.JUGPUSH = {"NAMESPACE": "tests.app.tenants.name"}
        for name in ("one", "two"):
            with tenants.tenant(name):
                alice.save()
        assert len(broker.batches) == 2

    def test_instance_without_what_counts_shows_nothing(self, alice, broker, django_user_model):  # noqa: F811
        """And loads nothing."""
        alice.save()
        with CaptureQueriesContext(connection) as queries:
            django_user_model.objects.only("first_name").get(pk=alice.pk)
        assert len(queries) == 1
        django_user_model.objects.get(pk=alice.pk).save()
        assert len(broker.batches) == 1
