"""The pastebin inside the settings of the tests."""

from __future__ import annotations

import pytest

from testproject import settings as site_settings


@pytest.fixture(autouse=True)
def pastebin(settings, db):
    """Serve the pastebin's pages as its own settings do."""
    for name in ("ROOT_URLCONF", "MIDDLEWARE", "TEMPLATES", "LOGIN_URL", "LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL"):
        setattr(settings, name, getattr(site_settings, name))


@pytest.fixture
def ann(django_user_model):
    return django_user_model.objects.create_user("ann", password="pastebin")


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create_user("bob", password="pastebin")
