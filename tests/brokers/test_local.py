from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import msgspec
import pytest

from django_jugpush.brokers import local
from django_jugpush.brokers.local import LocalBroker, LocalFeed
from django_jugpush.core.publication import Publication
from django_jugpush.core.signing import MAX_BODY_BYTES
from django_jugpush.devserver import PushThread
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from django_jugpush.server.publish import PublishEndpoint

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def publication(data=b'"hi"', *, id="1", channel="news"):
    return Publication(id=id, channel=channel, namespace="tests", data=msgspec.Raw(data))


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    """Servers of these tests are announced where no other process looks."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


class Push:
    """A push server as far as a broker can see: the endpoint, and a feed that has listeners for ``news``."""

    def __init__(self, keys, clock):
        self.feed = LocalFeed()
        self.endpoint = PublishEndpoint(keys, self.feed, clock=clock)
        self.delivered = queue.Queue()
        self.requests = []

    async def __call__(self, scope, receive, send):
        self.requests.append(scope["method"])
        await self.endpoint(scope, receive, send)

    async def start(self):
        await self.feed.start(self.deliver)
        self.feed.listen(["tests:news"])

    async def stop(self):
        await self.feed.stop()

    def deliver(self, publications):
        """Take what was published; where it stands in its stream is a question of tests/contracts."""
        for publication in publications:
            self.delivered.put(publication.at(None))

    def heard(self):
        return [self.delivered.get_nowait() for _ in range(self.delivered.qsize())]


@pytest.fixture
def start_server():
    """Start a push server on a thread; what is returned has its ``url``."""
    threads = []

    def start(*, keys=(KEY,), clock=time.time):
        push = Push(keys, clock)
        thread = PushThread(push, path="/juggernaut/", options={})
        thread.start()
        threads.append(thread)
        push.url = thread.url
        return push

    yield start
    for thread in threads:
        thread.stop()


@contextmanager
def stranger(answer=b"", *, serve=None):
    """Hold an address without being a push server. What it hears is put down; what it answers is ``answer``."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = bytearray()
    done = threading.Event()

    def converse(connection):
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                heard.extend(data)
                if serve:
                    serve(connection, data, done)
                else:
                    connection.sendall(answer)

    def accept():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=converse, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/juggernaut/", heard
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def broker(*urls, keys=(KEY,), server_url=None):
    return LocalBroker(server_url, keys=keys, find=lambda: urls)


def test_publication_reaches_the_server_that_is_found(start_server):
    """Signed, proved and posted, within one call."""
    server = start_server()
    broker(server.url).publish([publication()])
    assert server.heard() == [publication()]


def test_publication_reaches_the_server_that_is_named(start_server):
    """With SERVER_URL, nothing is looked for."""
    server = start_server()
    LocalBroker(server.url, keys=[KEY], find=None).publish([publication()])
    assert server.heard() == [publication()]


def test_every_server_of_the_project_hears_it(start_server):
    """Two ``runserver`` have different listeners."""
    servers = [start_server(), start_server()]
    broker(*(server.url for server in servers)).publish([publication()])
    assert [server.heard() for server in servers] == [[publication()]] * 2


def test_feed_passes_on_what_has_listeners(start_server):
    """A channel that nobody here listens to costs nothing further."""
    server = start_server()
    broker(server.url).publish([publication(channel="other"), publication(b"2"), publication(b"3")])
    assert server.heard() == [publication(b"2"), publication(b"3")]


def test_feed_forgets_channels():
    """Nothing is delivered for a channel whose last listener has gone."""
    feed, heard = LocalFeed(), []
    feed._deliver = heard.extend
    feed.listen(["tests:news", "tests:other"])
    feed.forget(["tests:news", "tests:never"])
    feed.receive([publication(), publication(channel="other")])
    assert [one.channel for one in heard] == ["other"]


def test_long_batch_keeps_its_order_over_several_requests(start_server):
    """A transaction may change thousands of rows; one connection and one proof serve for all."""
    server = start_server()
    batch = [publication(b'"%s"' % (b"x" * 100_000), id=str(number)) for number in range(25)]
    broker(server.url).publish(batch)
    assert [heard.id for heard in server.heard()] == [sent.id for sent in batch]
    assert server.requests == ["GET", "POST", "POST", "POST"]


def test_publication_over_the_limit_of_a_request_is_an_error(start_server):
    """It is said here, not by a server that hangs up."""
    server = start_server()
    with pytest.raises(BrokerError, match="longer than"):
        broker(server.url).publish([publication(b'"%s"' % (b"x" * MAX_BODY_BYTES))])


def test_server_on_the_usual_port_is_found_if_no_other_is(start_server, monkeypatch):
    """It is another user's, whose address is not left here; it has to prove itself like any."""
    server = start_server()
    monkeypatch.setattr("django_jugpush.brokers.local.USUAL_URL", server.url)
    broker().publish([publication()])
    assert server.heard() == [publication()]
    with pytest.raises(BrokerUnavailable, match="no push server of this project"):
        broker(keys=[b"another"]).publish([publication()])
    assert server.heard() == []


def test_no_server_is_an_error_with_the_remedy(monkeypatch):
    """Who reads the log learns what to start or to set."""
    monkeypatch.setattr("django_jugpush.brokers.local.USUAL_URL", "http://127.0.0.1:1/")
    with pytest.raises(BrokerUnavailable, match=r"manage.py runserver.*SERVER_URL.*SECRET_KEY"):
        broker().publish([publication()])


def test_server_that_has_gone_is_unavailable(start_server):
    """A refused connection is noticed at once."""
    with stranger() as (url, _):
        pass
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        broker(url).publish([publication()])
    assert time.monotonic() - started < 0.2


def test_server_that_has_gone_does_not_hide_the_other(start_server):
    """A file that a killed server has left behind does no harm."""
    with stranger() as (url, _):
        pass
    server = start_server()
    broker(url, server.url).publish([publication()])
    assert server.heard() == [publication()]


def test_suspended_server_does_not_silence_the_other(start_server):
    """It accepts connections and never answers, so it has its share of the time, and then a rest."""
    server = start_server()
    with stranger(serve=lambda *_: None) as (url, heard):
        publisher = broker(url, server.url)
        publisher.publish([publication()])
        assert server.heard() == [publication()]
        asked = len(heard)
        assert asked
        publisher.publish([publication(id="2")])
        assert server.heard() == [publication(id="2")]
        assert len(heard) == asked


def test_servers_that_all_were_silent_are_asked_all_the_same(monkeypatch):
    """There is nobody else to ask."""
    monkeypatch.setattr(local, "TIMEOUT", 0.1)
    with stranger(serve=lambda *_: None) as (url, heard):
        publisher = broker(url)
        for times in (1, 2):
            with pytest.raises(BrokerUnavailable, match="cannot be reached"):
                publisher.publish([publication()])
            assert heard.count(b"GET ") == times


def test_keys_are_rotated_without_a_gap(start_server):
    """The server was started with the old key, the publisher has the new one before it."""
    server = start_server(keys=[b"new" * 8, KEY])
    broker(server.url, keys=[KEY, b"older" * 8]).publish([publication()])
    assert server.heard() == [publication()]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + b"0" * 64,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\n\xfd",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\r\n" * 100,
    ],
)
def test_stranger_at_the_address_hears_nothing(answer):
    """Whatever it answers, it gets the question for a proof and no publication."""
    with stranger(answer) as (url, heard), pytest.raises(BrokerUnavailable):
        broker(url).publish([publication(b'"secret"')])
    assert heard.startswith(b"GET /juggernaut/hello?nonce=")
    assert b"secret" not in heard
    assert heard.count(b"HTTP/1.1") == 1


def test_other_project_at_the_address_hears_nothing(start_server):
    """A push server with another SECRET_KEY cannot prove that it is this project's."""
    server = start_server(keys=[OTHER_KEY])
    with pytest.raises(BrokerUnavailable, match="does not prove"):
        broker(server.url).publish([publication()])
    assert server.requests == ["GET"]


def test_stranger_that_passes_the_question_on_hears_nothing(start_server):
    """A proof names the address, so a stranger cannot borrow it from the real server."""
    server = start_server()

    def relay(connection, data, done):
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) as upstream:
            upstream.sendall(data)
            connection.sendall(upstream.recv(65_536))

    with stranger(serve=relay) as (url, heard), pytest.raises(BrokerUnavailable, match="does not prove"):
        broker(url).publish([publication(b'"secret"')])
    assert b"secret" not in heard
    assert server.requests == ["GET"]


def test_redirect_is_not_followed(start_server):
    """Where to publish is not for an answer to say."""
    server = start_server()
    location = f"Location: {server.url}hello".encode()
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n" + location + b"\r\n\r\n"
    with stranger(answer) as (url, _), pytest.raises(BrokerUnavailable):
        broker(url).publish([publication()])
    assert not server.requests


def test_proof_does_not_hold_for_the_next_connection(start_server):
    """A server that hangs up after the proof is connected to once more, and has to prove itself there."""
    server = start_server()
    connections = []

    class Closing(Push):
        async def __call__(self, scope, receive, send):
            connections.append(scope["client"])

            async def send_last(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                await send(message)

            await super().__call__(scope, receive, send_last)

    server.__class__ = Closing
    with pytest.raises(BrokerUnavailable, match="hung up"):
        broker(server.url).publish([publication()])
    assert len(connections) == 2
    assert server.requests == ["GET", "GET"]
    assert not server.heard()


@pytest.mark.parametrize("arrives", [True, False])
def test_request_that_broke_off_is_sent_again(start_server, monkeypatch, arrives):
    """The server may have taken it, or not: it is delivered once."""
    server = start_server()
    exchange, posts = local._exchange, []

    def break_off(connection, method, *arguments):
        if method == "POST":
            posts.append(arguments)
        if method != "POST" or len(posts) > 1:
            return exchange(connection, method, *arguments)
        if arrives:
            exchange(connection, method, *arguments)
        raise ConnectionResetError("the network breaks")

    monkeypatch.setattr(local, "_exchange", break_off)
    broker(server.url).publish([publication()])
    assert server.heard() == [publication()]
    assert len(posts) == 2
    assert server.requests.count("GET") == 2


def test_each_request_of_a_batch_may_break_off_once(start_server, monkeypatch):
    """It is the one that broke off that may have come before."""
    server = start_server()
    exchange, posts = local._exchange, []

    def break_off(connection, method, target, body=None, headers=None):
        if method == "POST":
            posts.append(b'"again":true' in body)
            if len(posts) % 2:
                raise ConnectionResetError("the network breaks")
        return exchange(connection, method, target, body, headers)

    monkeypatch.setattr(local, "_exchange", break_off)
    monkeypatch.setattr(local, "_BODY_SIZE", 1)
    batch = [publication(id=str(number)) for number in range(3)]
    broker(server.url).publish(batch)
    assert server.heard() == batch
    assert posts == [False, True] * 3


def test_proxy_of_the_environment_is_not_used(start_server, monkeypatch):
    """Publications go to no ``HTTP_PROXY``."""
    server = start_server()
    with stranger() as (url, heard):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url)
        broker(server.url).publish([publication()])
    assert server.heard() == [publication()]
    assert not heard


def drip(connection, data, done):
    while not done.wait(0.1):
        connection.sendall(b"H")


@pytest.mark.parametrize("serve", [drip, lambda connection, data, done: done.wait()], ids=["dripping", "silent"])
def test_slow_stranger_holds_a_publish_for_a_second_at_most(serve):
    """The time is for everything, not for each read."""
    started = time.monotonic()
    with stranger(serve=serve) as (url, _), pytest.raises(BrokerUnavailable, match="cannot be reached"):
        broker(url, url).publish([publication()])
    assert time.monotonic() - started < 1.3


def test_refusal_is_an_error_that_says_why(start_server):
    """A server whose clock is wrong proves itself, but takes nothing."""
    server = start_server(clock=lambda: time.time() - 100)
    with pytest.raises(BrokerError, match=r"refused the publication \(404\): the clocks differ") as caught:
        broker(server.url).publish([publication()])
    assert not isinstance(caught.value, BrokerUnavailable)


def test_refusal_says_more_than_an_absence(start_server):
    """Of several servers the one that answered knows why."""
    server = start_server(clock=lambda: time.time() - 100)
    with stranger() as (url, _):
        pass
    with pytest.raises(BrokerError, match="the clocks differ"):
        broker(url, server.url).publish([publication()])
