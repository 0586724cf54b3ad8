from __future__ import annotations

import pytest
from django.contrib.auth import SESSION_KEY, login, logout, update_session_auth_hash
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.middleware import SessionMiddleware

from django_jugpush.access import receivers
from django_jugpush.access.bearers import bearer_of
from django_jugpush.access.logins import LOGIN_KEY, fingerprint, fingerprints, login_id

pytestmark = pytest.mark.django_db

BACKENDS = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture
def request_(rf, settings):
    """A request with a session that nobody is signed in to."""
    return with_session(rf, settings)


def with_session(rf, settings, cookie=None):
    request = rf.get("/")
    if cookie:
        request.COOKIES[settings.SESSION_COOKIE_NAME] = cookie
    SessionMiddleware(lambda request: None).process_request(request)
    request.user = AnonymousUser()
    return request


@pytest.fixture(params=BACKENDS)
def any_backend(request, settings, tmp_path):
    """Each session backend that Django has."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)


def sign_in(request, user):
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")


def stored(request):
    return request.session[LOGIN_KEY][0]


def test_receiver_is_connected_by_the_app():
    """Installing the app is all the set-up."""
    uids = [entry[0][0] for entry in user_logged_in.receivers]
    assert "django_jugpush.access.receivers._on_login" in uids
    receivers.connect()
    assert len(user_logged_in.receivers) == len(uids)


def test_login_id_survives_what_changes_the_session_key(any_backend, request_, alice, rf, settings):
    """A new key, a changed password and a saved session leave the login what it is."""
    sign_in(request_, alice)
    first = stored(request_)
    assert len(first) == 22
    request_.session.cycle_key()
    alice.set_password("other")
    alice.save()
    update_session_auth_hash(request_, alice)
    request_.session.save()
    again = with_session(rf, settings, request_.session.session_key)
    assert again.session[SESSION_KEY] == str(alice.pk)
    assert login_id(again.session, alice) == first


def test_logout_ends_the_login_id(any_backend, request_, alice):
    """The next login of the same user is another one."""
    sign_in(request_, alice)
    first = stored(request_)
    logout(request_)
    assert LOGIN_KEY not in request_.session
    sign_in(request_, alice)
    assert stored(request_) != first


def test_login_over_another_users_session_makes_another_id(request_, alice, bob):
    """Two people at one browser do not share a login."""
    sign_in(request_, alice)
    first = stored(request_)
    sign_in(request_, bob)
    assert stored(request_) != first


def test_same_user_signing_in_again_keeps_the_id(request_, alice):
    """Django keeps the session's data then, and the pages that are open stay as they are."""
    sign_in(request_, alice)
    first = stored(request_)
    request_.user = alice
    sign_in(request_, alice)
    assert stored(request_) == first


@pytest.mark.parametrize("planted", ["x", ["x"], ["x", None], {"id": "x"}, ["x", "999"], [7, "1"]])
def test_id_that_an_anonymous_session_holds_is_replaced(request_, alice, planted):
    """What was in the session before the login cannot fix the login's id."""
    request_.session[LOGIN_KEY] = planted
    sign_in(request_, alice)
    assert len(stored(request_)) == 22


def test_login_from_before_the_installation_gets_an_id_when_it_is_asked_for(request_, alice):
    """Nobody has to sign in again."""
    request_.session[SESSION_KEY] = str(alice.pk)
    made = login_id(request_.session, alice)
    assert made == stored(request_) == login_id(request_.session, alice)


def test_user_without_a_session_has_no_login_id(rf, alice):
    """A user may be recognized by other means, and some code sends the signal without a request."""
    request = rf.get("/")
    request.user = alice
    assert bearer_of(request, now=0).login is None
    user_logged_in.send(type(alice), request=request, user=alice)
    user_logged_in.send(type(alice), request=None, user=alice)


def test_user_who_is_recognized_by_something_else_leaves_the_session_alone(request_, alice):
    """A token in a header is no login: nothing is stored, so no cookie is set."""
    request_.user = alice
    assert bearer_of(request_, now=0).login is None
    user_logged_in.send(type(alice), request=request_, user=alice)
    assert request_.session.is_empty()


@pytest.mark.parametrize(
    "change",
    [{"password": "md5$other"}, {"is_active": False}, {"is_staff": True}, {"is_superuser": True}],
)
def test_fingerprint_changes_with_password_and_flags(alice, change):
    """A grant that was given before can be told from one that was given after."""
    before = fingerprint(alice)
    assert len(before) == 16
    for name, value in change.items():
        setattr(alice, name, value)
    assert fingerprint(alice) != before


def test_fingerprint_is_known_by_each_key(alice, settings):
    """A rotation of SECRET_KEY puts no grant out of date."""
    before = fingerprint(alice)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the tests"
    assert fingerprint(alice) != before
    assert fingerprints(alice) == (fingerprint(alice), before)


def test_fingerprint_ignores_the_rest(alice):
    """A saved profile costs nothing."""
    before = fingerprint(alice)
    alice.first_name, alice.last_login = "Alice", None
    assert fingerprint(alice) == before


def test_fingerprint_of_a_user_model_without_flags():
    """Only a password and is_active are asked of a custom user model."""

    class Plain:
        password = "x"
        is_active = True

    assert len(fingerprint(Plain())) == 16
