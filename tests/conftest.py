"""What tests of several rooms use."""

from __future__ import annotations

import pytest


@pytest.fixture
def alice(django_user_model):
    """A user."""
    return django_user_model.objects.create_user("alice", password="secret")


@pytest.fixture
def bob(django_user_model):
    """Another user."""
    return django_user_model.objects.create_user("bob", password="secret")
