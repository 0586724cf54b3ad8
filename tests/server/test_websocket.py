"""The WebSocket door, through a real uvicorn and a real client."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time

import pytest
from websockets.exceptions import InvalidStatus

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.server import websocket
from django_jugpush.server.websocket import TextFrame, WebSocketConnection, make_frame
from tests.waiting import wait_until

from .conftest import TIMEOUT, Served

CLIENT = "tab-0123456789abcdef"


def words_of(code, **more):
    code = DisconnectCode(code)
    return [{"type": "disconnect", "code": code, "message": code.message, "reconnect": code.reconnect, **more}]


# Connecting


def test_client_is_greeted_by_the_name_it_gives(served):
    """And is told how often to expect a heartbeat."""
    with served.peer(greet=False, query=f"protocol=1&client={CLIENT}") as peer:
        greeting = peer.receive()
        assert 0 <= greeting.pop("place") <= 1
        assert greeting == {"type": "connected", "protocol": 1, "client": CLIENT, "ping": 25000}


@pytest.mark.parametrize("name", ["", "short", "x" * 65, "%00" * 20, "<script>alert(1)</script>"])
def test_client_without_a_proper_name_is_given_one(served, name):
    """Each another one."""
    names = []
    for _ in range(2):
        with served.peer(greet=False, query=f"protocol=1&client={name}") as peer:
            names.append(peer.receive()["client"])
    assert len({*names, name}) == 3
    assert all(len(name) >= 16 for name in names)


@pytest.mark.parametrize("path", ["/juggernaut/websocket", "/websocket"])
def test_door_is_under_the_mount_point_and_without_it(served, path):
    """A proxy may strip it or not."""
    with served.peer(path=path) as peer:
        assert peer.subscribe("open")["type"] == "subscribed"


@pytest.mark.parametrize("path", ["/", "/juggernaut/", "/juggernaut", "/juggernaut/websocket/", "/juggernaut/nothing"])
def test_no_other_path_is_a_door(served, path):
    """The handshake is refused."""
    with pytest.raises(InvalidStatus) as caught, served.peer(path=path):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("query", ["", "protocol=2", "protocol=", "protocol=1.0", "&".join(["protocol=1"] * 100)])
def test_unknown_protocol_is_sent_away_by_a_word(served, query):
    """A browser shows scripts the code, so they do not try again for ever."""
    with served.peer(greet=False, query=query) as peer:
        code = DisconnectCode.UNKNOWN_PROTOCOL
        assert peer.rest() == (words_of(code), code)


def test_foreign_origin_is_sent_away_by_a_word(served):
    """Nothing else is said to it."""
    with served.peer(greet=False, origin="https://evil.example") as peer:
        code = DisconnectCode.ORIGIN_DENIED
        assert peer.rest() == (words_of(code), code)


def test_same_origin_connects(served):
    """The origin is asked about, not the Host header."""
    with served.peer(origin="http://127.0.0.1") as peer:
        assert peer.subscribe("open")["type"] == "subscribed"


# Subscribing and publishing


def test_publication_reaches_its_listeners_only(served):
    """With its data as it was published."""
    with served.peer() as reader, served.peer() as other:
        assert reader.subscribe("order:7", token="order:7") == {"type": "subscribed", "id": 1, "channel": "order:7"}
        assert other.subscribe("order:8", token="order:8")["type"] == "subscribed"
        served.publish("order:7", {"text": "žluťoučký 🐎", "list": [1, None]}, version=5)
        assert reader.receive() == {
            "channel": "order:7",
            "data": {"text": "žluťoučký 🐎", "list": [1, None]},
            "version": 5,
        }
        served.publish("order:8", 1)
        assert other.receive() == {"channel": "order:8", "data": 1}


def test_author_is_spared_its_own_publication(served):
    """By the name of its tab."""
    with served.peer(query=f"protocol=1&client={CLIENT}") as author, served.peer() as reader:
        author.subscribe("open")
        reader.subscribe("open")
        served.publish("open", 1, exclude=(CLIENT,))
        served.publish("open", 2)
        assert author.receive()["data"] == 2
        assert [reader.receive()["data"], reader.receive()["data"]] == [1, 2]


def test_stale_channel_is_told(served):
    """Instead of data."""
    with served.peer() as peer:
        peer.subscribe("open:stale")
        served.publish("open:stale", None, stale="size")
        assert peer.receive() == {"type": "stale", "channel": "open:stale", "reason": "size", "spread": 20}


def test_unsubscribed_channel_is_silent(served):
    """And the feed need not hear it any more."""
    with served.peer() as peer:
        peer.subscribe("open:once")
        assert "tests:open:once" in served.feed.channels
        peer.send(type="unsubscribe", id=2, channel="open:once")
        assert peer.receive() == {"type": "unsubscribed", "id": 2, "channel": "open:once"}
        served.publish("open:once", 1)
        peer.send(type="ping")
        assert peer.receive() == {"type": "pong"}
        assert "tests:open:once" not in served.feed.channels


def test_resubscription_is_told_that_it_may_have_missed_something(serve):
    """Until there is a history; and how long to wait, by the number of those who may do the same."""
    served = serve()
    with served.peer() as first, served.peer() as second:
        for peer in (first, second):
            assert peer.subscribe("open:again", since="") == {
                "type": "subscribed",
                "id": 1,
                "channel": "open:again",
                "recovered": False,
                "spread": 40,
            }


def test_token_of_another_login_is_refused(served):
    """The first one fixes whose connection it is; channels that are granted already go on."""
    with served.peer() as peer:
        assert peer.subscribe("a", token="a/alice")["type"] == "subscribed"
        answer = peer.subscribe("b", token="b/bob")
        assert (answer["type"], answer["code"]) == ("error", ErrorCode.IDENTITY_MISMATCH)
        assert peer.subscribe("c", token="c/alice")["type"] == "subscribed"
        served.publish("b", 0)
        served.publish("a", 1)
        assert peer.receive() == {"channel": "a", "data": 1}


def test_refusal_is_explained_only_in_development(serve, served, caplog):
    """In the browser; the server's log says it always."""
    explaining = serve(explain=True)
    for server, message in (served, "permission denied"), (explaining, "no token, and no public pattern matches"):
        with server.peer() as peer:
            assert peer.subscribe("secret")["message"] == message
    assert caplog.messages == ["DENIED: 'secret' refused: no token, and no public pattern matches"] * 2


def test_broken_data_is_dropped_and_logged(served, caplog):
    """Its channel's listeners stay connected."""
    with served.peer() as peer:
        peer.subscribe("open")
        served.publish("open", b'"\xff"')
        served.publish("open", b"{\n}")
        assert peer.receive() == {"channel": "open", "data": {}}
        assert "A publication to 'open' was dropped" in caplog.text


# Heartbeats


def test_client_that_answers_heartbeats_stays(serve):
    """For many intervals."""
    served = serve(ping_interval=0.1)
    with served.peer() as peer:
        for _ in range(10):
            assert peer.receive() == {"type": "ping"}
            peer.send(type="pong")


def test_silent_client_is_dropped(serve):
    """After two intervals, by a code that says to come back; one that talks is not."""
    served = serve(ping_interval=0.4)
    with served.peer() as silent, served.peer() as other:
        started = time.monotonic()
        chatter = threading.Event()

        def talk():
            while not chatter.wait(0.1):
                other.send(type="pong")

        thread = threading.Thread(target=talk)
        thread.start()
        words, code = silent.rest()
        elapsed = time.monotonic() - started
        chatter.set()
        thread.join()
        assert code == DisconnectCode.NO_PONG
        assert words == [{"type": "ping"}, *words_of(code)]
        assert elapsed > 0.75
        other.subscribe("open")


# Slow readers


def test_slow_reader_is_sent_away_and_holds_up_nobody(serve):
    """What waits for it is bounded; it is told to come back, and the others get everything."""
    served = serve(max_pending=200_000)
    with served.peer() as reader, served.peer(max_queue=1) as slow:
        for peer in reader, slow:
            assert peer.subscribe("open")["type"] == "subscribed"
        sent = 0
        while served.push.hub.listeners("tests:open") == 2:
            served.publish("open", "x" * 50_000)
            assert reader.receive()["channel"] == "open"
            sent += 1
            assert sent < 1000
        words, code = slow.rest()
        assert code == DisconnectCode.SLOW
        assert words[-1:] == words_of(code)
        assert len(words) - 1 < sent
        served.publish("open", "on we go")
        assert reader.receive()["data"] == "on we go"


def test_reader_that_never_comes_back_is_let_go(serve, monkeypatch):
    """Its connection is given up after a while."""
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT", 0.1)
    served = serve(max_pending=100_000)
    with served.peer(max_queue=1) as slow:
        slow.subscribe("open")
        while served.push.hub.listeners("tests:open"):
            served.publish("open", "x" * 50_000)
        wait_until(lambda: not served.push.connections)
        slow.socket.socket.close()


def test_clients_that_vanish_leave_nothing_behind(serve):
    """Whether they close or just go."""
    served = serve()
    with served.peer() as polite, served.peer() as rude:
        polite.subscribe("open:polite")
        rude.subscribe("open:rude")
        polite.socket.close()
        rude.socket.socket.close()
        wait_until(lambda: not served.push.connections)
    assert not served.feed.channels
    assert not served.push.hub.channels()


# Draining


def test_drain_sends_everybody_away_in_good_order(serve):
    """What was published before still arrives; newcomers are told the same, but not to come back at once."""
    served = serve()
    with served.peer() as one, served.peer() as two:
        for peer in one, two:
            peer.subscribe("open")
        served.publish("open", "last words")
        served.run(served.push.drain())
        code = DisconnectCode.SHUTDOWN
        for peer in one, two:
            assert peer.rest() == ([{"channel": "open", "data": "last words"}, *words_of(code, spread=2)], code)
        with served.peer(greet=False) as late:
            assert late.rest() == (words_of(code), code)


def test_drain_waits_no_longer_than_it_is_told(serve):
    """A client that does not read does not hold it up."""
    served = serve()
    with served.peer(max_queue=1) as slow:
        slow.subscribe("open")
        for _ in range(20):
            served.publish("open", "x" * 500_000)
            if not served.push.hub.listeners("tests:open"):
                break
        started = time.monotonic()
        served.run(served.push.drain(0.1))
        assert time.monotonic() - started < 3
        slow.socket.socket.close()


def test_server_that_stops_without_draining_says_so_too(serve):
    """By WebSocket's own code; the client comes back after it."""
    served = serve()
    with served.peer() as peer:
        served.stop()
        assert peer.rest() == ([], 1012)


# One connection's faults


def test_fault_in_one_connection_ends_only_that_one(serve, monkeypatch, caplog):
    """Its client is told to come back."""
    served = serve()
    receive = served.push.connections.receive

    def fail(connection, data):
        if "fault" in data:
            raise RuntimeError("a fault of the server")
        receive(connection, data)

    monkeypatch.setattr(served.push.connections, "receive", fail)
    with served.peer() as witness, served.peer() as peer:
        witness.subscribe("open")
        peer.socket.send("fault")
        code = DisconnectCode.INTERNAL
        assert peer.rest() == (words_of(code), code)
        served.publish("open", 1)
        assert witness.receive()["data"] == 1
    assert "a fault of the server" in caplog.text


def test_fault_while_connecting_is_told_too(serve, monkeypatch, caplog):
    """There is no session yet, but there is a code."""
    served = serve()

    def fail(*args, **kwargs):
        raise RuntimeError("a fault of the origin check")

    monkeypatch.setattr(served.push.connections._handshake, "_origin_allowed", fail)
    with served.peer(greet=False) as peer:
        assert peer.rest()[1] == DisconnectCode.INTERNAL
    assert "a fault of the origin check" in caplog.text


# The connection by itself


def run_door(*messages, config=None):
    """Play an ASGI server that has no limits of its own; return what it was sent."""
    served = Served(**(config or {}))
    served.socket.close()
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        queue = asyncio.Queue()
        for message in messages:
            queue.put_nowait(message)
        scope = {
            "type": "websocket",
            "path": "/websocket",
            "query_string": b"protocol=1",
            "headers": [(b"upgrade", b"websocket")],
        }
        await asyncio.wait_for(served.push(scope, queue.get, send), TIMEOUT)
        await served.push.stop()

    asyncio.run(main())
    assert not served.push.connections
    return sent


CONNECT = {"type": "websocket.connect"}


def test_too_long_message_is_refused_under_any_server():
    """Where the server itself lets it through."""
    text = json.dumps({"type": "ping", "x": "x" * 1000})
    accept, greeting, answer = run_door(
        CONNECT,
        {"type": "websocket.receive", "text": text},
        {"type": "websocket.disconnect"},
        config={"max_message_size": 1000},
    )
    assert accept == {"type": "websocket.accept"}
    assert json.loads(greeting["text"])["type"] == "connected"
    assert json.loads(answer["text"])["code"] == ErrorCode.LIMIT_EXCEEDED


def test_binary_message_may_come_with_an_empty_text():
    """The ASGI specification allows both keys."""
    *_, close = run_door(CONNECT, {"type": "websocket.receive", "text": None, "bytes": b"{}"})
    assert close["code"] == DisconnectCode.NOT_TEXT
    assert type(close["code"]) is int, "daphne closes with 1011 otherwise"


def test_client_that_goes_at_once_is_no_fault(caplog):
    """Nothing is sent to it after that."""
    sent = run_door(CONNECT, {"type": "websocket.disconnect", "code": 1001})
    assert "websocket.close" not in [message["type"] for message in sent]
    assert not caplog.records


def test_burst_of_one_client_leaves_room_for_others():
    """Between two of its messages everybody else gets a turn of the event loop."""
    turns = 0
    seen = []

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def receive():
        seen.append(turns)
        if len(seen) == 1:
            return CONNECT
        if len(seen) < 20:
            return {"type": "websocket.receive", "text": '{"type":"ping"}'}
        return {"type": "websocket.disconnect"}

    async def send(message):
        pass

    async def main():
        served = Served()
        served.socket.close()
        counting = asyncio.create_task(count_turns())
        scope = {"type": "websocket", "path": "/websocket", "query_string": b"protocol=1", "headers": []}
        scope["headers"] = [(b"upgrade", b"websocket")]
        await served.push(scope, receive, send)
        counting.cancel()
        await served.push.stop()

    asyncio.run(main())
    assert all(later > earlier for earlier, later in itertools.pairwise(seen[1:]))


def test_client_that_is_just_gone_may_be_sent_away_all_the_same():
    """A server that stops while its clients vanish gets to the end of them."""

    async def main():
        async def send(message):
            pass

        connection = WebSocketConnection(max_pending=10, on_overflow=lambda: None)
        writing = asyncio.create_task(connection.write(send))
        await asyncio.sleep(0)
        connection.lost()
        await asyncio.sleep(0)
        assert not writing.done(), "its time is over, and it has not noticed"
        connection.close(DisconnectCode.SHUTDOWN, "bye")
        await asyncio.wait_for(writing, TIMEOUT)

    asyncio.run(main())


def test_queue_is_bounded_by_bytes_on_the_wire():
    """What waited is dropped on overflow, what is queued then comes first, and nothing after the close."""

    async def main():
        sent = []
        overflows = []

        async def send(message):
            sent.append(message)

        def overflow():
            overflows.append(True)
            connection.send(TextFrame("why", 3))
            connection.close(DisconnectCode.SLOW, "slow")

        connection = WebSocketConnection(max_pending=10, on_overflow=overflow)
        frame = make_frame("žž".encode())
        assert frame.size == 4
        connection.send(frame)
        connection.send(frame)
        assert not overflows
        connection.send(frame)
        connection.send(frame)
        connection.close(1000, "later")
        await connection.write(send)
        assert overflows == [True]
        assert sent == [
            {"type": "websocket.send", "text": "why"},
            {"type": "websocket.close", "code": DisconnectCode.SLOW, "reason": "slow"},
        ]

    asyncio.run(main())
