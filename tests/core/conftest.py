"""A client that talks to a session without a wire."""

from __future__ import annotations

import json

import pytest

from django_jugpush.core.codec import encode
from django_jugpush.core.grants import Grant
from django_jugpush.core.session import Session

CLIENT = "client-0123456789"


class Peer:
    """Talks to a session without a wire."""

    def __init__(self, **options):
        self.session = Session(client=CLIENT, **options)
        self.now = 1000.0

    def connect(self, protocol="1"):
        self.session.connect(protocol, now=self.now, place=0.5)
        return self.receive()

    def send(self, **word):
        self.session.receive_data(json.dumps(word), now=self.now)

    def receive(self):
        return [json.loads(encode(reply)) for reply in self.session.data_to_send()]

    def subscribe(self, channel, *, grant=None, id=1, **word):
        """Subscribe, have it accepted, and return the answer."""
        self.send(type="subscribe", channel=channel, id=id, **word)
        event = self.session.events_received()[-1]
        self.session.accept(event.request, grant or Grant(channel=channel))
        (answer,) = self.receive()
        return answer


@pytest.fixture
def peer():
    """A connected peer, greeted already."""
    peer = Peer()
    peer.connect()
    return peer


def error(code, id=1, message=None):
    return {
        "type": "error",
        "id": id,
        "code": code,
        "message": message or code.message,
        "temporary": code.temporary,
    }


def disconnect(code):
    return {"type": "disconnect", "code": code, "message": code.message, "reconnect": code.reconnect}
