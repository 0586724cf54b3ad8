"""What the tests of access share."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from django_jugpush import declarations
from django_jugpush.access import receivers, revocation
from django_jugpush.access.control import open_control


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """Start each test without declared channels, and forget those that it declares."""
    fresh = []
    monkeypatch.setattr(declarations, "_channels", fresh)
    monkeypatch.setattr(declarations, "_with_options", [])
    declarations._find_options.cache_clear()
    yield fresh
    declarations._find_options.cache_clear()


@pytest.fixture
def told(monkeypatch):
    """What push servers are told, as soon as it is said."""
    messages = []

    def send(publications, using):
        assert using in ("default", "other")
        messages.extend(map(open_control, publications))

    monkeypatch.setattr(revocation, "_send", send)
    monkeypatch.setattr(receivers, "_told", OrderedDict())
    return messages
