"""A broker that records."""

from __future__ import annotations

import json

import pytest

from django_jugpush import declarations
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.publishing.delivery import use_broker


class Recorder(DummyBroker):
    """Keeps the batches apart, and shows publications as a subscriber sees them."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def publish(self, publications):
        self.batches.append(list(publications))
        super().publish(publications)

    @property
    def messages(self):
        return [(publication.channel, json.loads(bytes(publication.data))) for publication in self.publications]

    def events(self, channel=None):
        """Return (event, model, pk) of what came from models; with a channel, of what was published there."""
        return [
            (data["event"], data["model"], data["pk"])
            for name, data in self.messages
            if isinstance(data, dict) and "event" in data and channel in (None, name)
        ]


@pytest.fixture
def broker():
    """What would have been delivered."""
    recorder = Recorder()
    with use_broker(recorder):
        yield recorder


@pytest.fixture
def declared(monkeypatch):
    """Declare channels for one test."""
    monkeypatch.setattr(declarations, "_channels", list(declarations._channels))
    monkeypatch.setattr(declarations, "_with_options", list(declarations._with_options))
    declarations._find_options.cache_clear()
    yield declarations.channel
    declarations._find_options.cache_clear()
