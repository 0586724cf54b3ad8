"""Subscriptions, from what a client asks for to its answer."""

from __future__ import annotations

from django_jugpush.core.codes import DisconnectCode


def test_answer_that_fails_sends_the_client_away(serve, monkeypatch, caplog):
    """It may come back, and ask again; nothing is left of the attempt, and nobody else is concerned."""
    served = serve()

    def fail(grant):
        raise RuntimeError("a fault of the answer")

    with served.peer() as witness, served.peer() as peer:
        witness.subscribe("open")
        with monkeypatch.context() as patch:
            patch.setattr(served.push.rights, "resume_token", fail)
            peer.send(type="subscribe", id=1, channel="open")
            (word,), code = peer.rest()
        assert (word["type"], word["reconnect"], code) == ("disconnect", True, DisconnectCode.INTERNAL)
        assert served.push.hub.listeners("tests:open") == 1
        served.publish("open", 1)
        assert witness.receive()["data"] == 1
    assert "a fault of the answer" in caplog.text
