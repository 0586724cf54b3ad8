"""What clients do reaches the project's receivers, off the push server's event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from django_jugpush import signalling
from django_jugpush.core.notices import Notice
from django_jugpush.server.app import PushServer
from django_jugpush.signalling import SignalSender
from django_jugpush.signals import client_event, client_subscribed, client_unsubscribed
from tests.server.conftest import Served

CLIENT = "client-0123456789"


@pytest.fixture
def connect():
    """A function that connects a receiver for the time of the test."""
    connected = []

    def connect(signal, receiver):
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def received(connect):
    """What the receivers got, in order."""
    received = []
    for signal in (client_subscribed, client_unsubscribed, client_event):

        def receiver(signal, **arguments):
            received.append((signal, arguments | {"thread": threading.current_thread().name}))

        connect(signal, receiver)
    return received


@pytest.fixture
def served():
    served = Served(takers=[SignalSender()])
    served.start()
    yield served
    served.stop()


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_signals_carry_the_verified_user_and_what_the_page_says(served, received):
    """The user is what the model's primary key is; meta cannot claim another."""
    with served.peer(query=f"protocol=1&client={CLIENT}") as peer:
        peer.send(type="meta", data={"user_id": 1, "name": "Eve"})
        peer.subscribe("room", token="room/42")
        peer.send(type="event", data={"x": [1]})
        peer.send(type="unsubscribe", channel="room")
        peer.receive()
    served.run(served.push.stop())
    meta = {"user_id": "42", "name": "Eve"}
    common = {"sender": PushServer, "client": CLIENT, "user_pk": 42, "namespace": "tests", "meta": meta}
    common["thread"] = "jugpush-signals"
    assert received == [
        (client_subscribed, common | {"channel": "room"}),
        (client_event, common | {"data": {"x": [1]}}),
        (client_unsubscribed, common | {"channel": "room"}),
    ]


def test_stranger_is_nobody(served, received):
    with served.peer(query=f"protocol=1&client={CLIENT}") as peer:
        peer.send(type="meta", data={"user_id": 1})
        peer.subscribe("open:a")
    served.run(served.push.stop())
    assert [(arguments["user_pk"], arguments["meta"]) for _, arguments in received] == [(None, {}), (None, {})]


def test_stop_of_the_server_tells_who_was_there(served, received):
    with served.peer() as peer:
        peer.subscribe("open:a")
        served.run(served.push.stop())
    assert [signal for signal, _ in received] == [client_subscribed, client_unsubscribed]
    assert received[1][1]["meta"] is None


def test_receiver_that_fails_stops_nobody(served, connect, received):
    def fail(**arguments):
        raise RuntimeError("the receiver is broken")

    connect(client_event, fail)
    with served.peer() as peer:
        peer.subscribe("room", token="room")
        for number in range(2):
            peer.send(type="event", data=number)
        peer.send(type="ping")
        assert peer.receive() == {"type": "pong"}
    served.run(served.push.stop())
    assert [arguments["data"] for signal, arguments in received if signal is client_event] == [0, 1]


def test_slow_receiver_blocks_nobody_and_overflow_is_answered(served, connect, monkeypatch, caplog):
    """The page is told that its event is lost, and the log says it once."""
    going_on, holds = threading.Event(), threading.Event()

    def hold(**arguments):
        holds.set()
        assert going_on.wait(10)

    connect(client_event, hold)
    sender = served.push._notices._takers[0]
    sender._queue.maxsize = 2
    with served.peer() as peer:
        peer.subscribe("room", token="room")
        peer.send(type="event", id=1)
        assert holds.wait(10)
        for id in range(2, 6):
            peer.send(type="event", id=id)
        refused = [peer.receive() for _ in range(2)]
        assert [(word["id"], word["code"]) for word in refused] == [(4, 106), (5, 106)]
        going_on.set()
    served.run(served.push.stop())
    assert len([record for record in caplog.records if "too slow" in record.message]) == 1


def test_there_is_no_thread_without_receivers():
    async def scenario():
        sender = SignalSender()
        await sender.start()
        assert sender.take(Notice(kind="custom", client=CLIENT))
        assert not any(thread.name == "jugpush-signals" for thread in threading.enumerate())
        await sender.stop()

    run(scenario)


def test_thread_ends_with_the_server(received):
    async def scenario():
        sender = SignalSender()
        await sender.start()
        sender.take(Notice(kind="custom", client=CLIENT))
        await sender.stop()

    run(scenario)
    assert len(received) == 1
    assert not any(thread.name == "jugpush-signals" for thread in threading.enumerate())


def test_receiver_that_hangs_does_not_hold_up_the_stop(connect, monkeypatch):
    monkeypatch.setattr(signalling, "STOP_TIMEOUT", 0.05)
    released = threading.Event()
    connect(client_event, lambda **arguments: released.wait(10))

    async def scenario():
        sender = SignalSender()
        sender.take(Notice(kind="custom", client=CLIENT))
        await asyncio.wait_for(sender.stop(), 5)

    run(scenario)
    (hanging,) = [thread for thread in threading.enumerate() if thread.name == "jugpush-signals"]
    assert hanging.daemon  # nor the end of the process
    released.set()
