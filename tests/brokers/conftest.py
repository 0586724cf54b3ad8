from __future__ import annotations

import pytest

from django_jugpush.brokers.redis import reader


@pytest.fixture(autouse=True)
def quick_beat(monkeypatch):
    """Push servers look soon whether Redis has forgotten anything."""
    monkeypatch.setattr(reader, "BEAT", 0.05)
