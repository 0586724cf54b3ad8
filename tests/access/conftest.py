"""What the tests of access share."""

from __future__ import annotations

import pytest

from django_jugpush import declarations


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """Start each test without declared channels, and forget those that it declares."""
    fresh = []
    monkeypatch.setattr(declarations, "_channels", fresh)
    monkeypatch.setattr(declarations, "_with_options", [])
    declarations._find_options.cache_clear()
    yield fresh
    declarations._find_options.cache_clear()
