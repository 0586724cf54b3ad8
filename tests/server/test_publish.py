from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_network

import msgspec
import pytest

from django_jugpush.core.publication import Publication
from django_jugpush.core.signing import MAX_BODY_BYTES, SIGNATURE_HEADER, WINDOW, is_proof, sign_request
from django_jugpush.server.publish import PublishEndpoint

KEY, FALLBACK, FOREIGN = b"k" * 32, b"b" * 32, b"f" * 32
START = 1_800_000_000.0
NONCE = "n" * 32
PUBLICATION = Publication(id="1", channel="news", data=msgspec.Raw(b'{"text":"hi"}'))
BODY = b'{"v":1,"publications":[%s]}' % msgspec.json.encode(PUBLICATION)


class Feed:
    def __init__(self):
        self.received = []

    def receive(self, publications, *, again=False):
        self.received.extend(publications)


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def clock(clock):
    clock.now = START
    return clock


@pytest.fixture
def endpoint(feed, clock):
    return PublishEndpoint([KEY, FALLBACK], feed, allowed_networks=[ip_network("172.18.0.0/16")], clock=clock)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def call(endpoint, method, path, *, headers=None, body=b"", client=("127.0.0.1", 5), chunks=None, **scope):
    """Call the endpoint as an ASGI server does; ``read`` of the answer is how much of the body it asked for."""
    headers = {"host": "x", "content-length": str(len(body))} | (headers or {})
    messages = [
        {"type": "http.request", "body": chunk, "more_body": True}
        for chunk in (chunks if chunks is not None else [body])
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []
    asked = []

    async def receive():
        asked.append(1)
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items() if value is not None],
        "client": client,
        "server": ("127.0.0.1", 8000),
        **scope,
    }
    asyncio.run(endpoint(scope, receive, send))
    answer = Answer(sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode())
    answer.read = len(asked)
    return answer


def signed(body=BODY, *, key=KEY, now=START + 1, path="publish"):
    return {SIGNATURE_HEADER: str(sign_request(key, method="POST", path=path, body=body, now=now))}


@pytest.mark.parametrize("path", ["/juggernaut/publish", "/publish"])
def test_signed_publication_reaches_the_feed(endpoint, feed, path):
    """With the mount point in front or stripped by a proxy."""
    answer = call(endpoint, "POST", path, body=BODY, headers=signed())
    assert answer.status == 204
    assert feed.received == [PUBLICATION]


def test_fallback_key_signs_too(endpoint, feed):
    """A process that still has the old SECRET_KEY is heard."""
    assert call(endpoint, "POST", "/publish", body=BODY, headers=signed(key=FALLBACK)).status == 204
    assert feed.received


def test_replay_is_answered_and_does_nothing(endpoint, feed, clock):
    """A captured request that is sent again is not delivered again, for as long as its time would pass."""
    headers = signed(now=START + WINDOW)
    call(endpoint, "POST", "/publish", body=BODY, headers=headers)
    clock.now += 2 * WINDOW
    assert call(endpoint, "POST", "/publish", body=BODY, headers=headers).status == 204
    assert len(feed.received) == 1


def test_guard_forgets_what_the_window_stops(endpoint, clock):
    """Memory is bounded by the traffic of two minutes."""
    for _ in range(3):
        call(endpoint, "POST", "/publish", body=BODY, headers=signed(now=clock.now))
        clock.now += 2 * WINDOW + 1
    assert len(endpoint._guard._seen) == len(endpoint._guard._ages) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SIGNATURE_HEADER: "nonsense"},
        signed(key=FOREIGN),
        signed(BODY + b" "),
        signed(path="hello"),
        signed(now=START - 1),
        signed(now=START + WINDOW + 1),
    ],
    ids=["unsigned", "nonsense", "foreign-key", "other-body", "other-path", "before-the-start", "from-the-future"],
)
def test_request_that_is_not_ours_finds_nothing_here(endpoint, feed, headers):
    """Unsigned, forged and stale requests get the answer to an unknown path."""
    answer = call(endpoint, "POST", "/publish", body=BODY, headers=headers)
    assert (answer.status, answer.body) == (404, call(endpoint, "GET", "/nothing").body)
    assert not feed.received


def test_old_request_finds_nothing_here(endpoint, feed, clock):
    """A request is good for a minute."""
    headers = signed()
    clock.now += WINDOW + 2
    assert call(endpoint, "POST", "/publish", body=BODY, headers=headers).status == 404
    assert not feed.received


@pytest.mark.parametrize(
    "header",
    ["Origin", "Sec-Fetch-Site", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"],
)
@pytest.mark.parametrize("target", ["publish", "hello"])
def test_browsers_and_proxies_find_nothing_here(endpoint, feed, header, target):
    """Behind a proxy every peer is the loopback, so what a proxy adds keeps the request out."""
    if target == "publish":
        answer = call(endpoint, "POST", "/publish", body=BODY, headers=signed() | {header: "x"})
    else:
        answer = call(endpoint, "GET", f"/hello?nonce={NONCE}", headers={header: "x"})
    assert answer.status == 404
    assert not feed.received


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 204),
        ("127.8.9.10", 204),
        ("::1", 204),
        ("::ffff:127.0.0.1", 204),
        ("172.18.0.5", 204),
        ("::ffff:172.18.0.5", 204),
        ("172.19.0.5", 404),
        ("192.168.1.7", 404),
        ("fe80::1", 404),
    ],
)
def test_peers_are_of_this_machine_or_listed(endpoint, host, status):
    """The loopback and PUBLISH_FROM; a valid signature alone is not enough."""
    assert call(endpoint, "POST", "/publish", body=BODY, headers=signed(), client=(host, 5)).status == status


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_unix_socket_is_of_this_machine(endpoint, client):
    """Who may open the socket's file is the file system's business."""
    assert call(endpoint, "POST", "/publish", body=BODY, headers=signed(), client=client).status == 204


@pytest.mark.parametrize("length", [None, "", "-1", "1e3", str(MAX_BODY_BYTES + 1), "9" * 5000])
def test_length_is_checked_before_reading(endpoint, length):
    """No length, or too much of it: not a byte of the body is asked for."""
    answer = call(endpoint, "POST", "/publish", body=BODY, headers=signed() | {"content-length": length})
    assert (answer.status, answer.read) == (404, 0)


def test_unsigned_body_is_not_read(endpoint):
    """Who signs nothing cannot make the server hold 16 MB."""
    assert call(endpoint, "POST", "/publish", body=BODY).read == 0


def test_body_longer_than_it_says_is_not_read_to_the_end(endpoint):
    """Servers see to it; if one does not, the memory is bounded all the same."""
    answer = call(endpoint, "POST", "/publish", body=BODY, headers=signed(), chunks=[BODY, b"more", b"and more"])
    assert (answer.status, answer.read) == (404, 2)


def test_body_in_pieces_is_put_together(endpoint, feed):
    """The signature is over the whole."""
    assert call(endpoint, "POST", "/publish", headers=signed(), body=BODY, chunks=[BODY[:7], BODY[7:]]).status == 204
    assert feed.received == [PUBLICATION]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"v":2,"publications":[]}',
        b'{"v":1,"publications":[{"id":"1"}]}',
        b'{"v":1,"publications":[{"id":"1","channel":"news","data":"\xff"}]}',
        b'{"v":1,"x":' + b"[" * 100_000,
        b'{"v":1,"publications":[{"id":"1","channel":"news","history":[-1,60]}]}',
        b'{"v":1,"publications":[{"id":"1","channel":"news","history":[5,1e300]}]}',
        b'{"v":1,"publications":[{"id":"1","channel":"news","max_rate":0}]}',
    ],
)
def test_signed_nonsense_is_explained(endpoint, feed, body):
    """A publisher of another version learns what is wrong; nothing is delivered."""
    answer = call(endpoint, "POST", "/publish", body=body, headers=signed(body))
    assert answer.status == 400
    assert answer.body
    assert not feed.received


def test_server_proves_itself(endpoint):
    """By each of its keys, for the address that it was asked at."""
    answer = call(endpoint, "GET", f"/juggernaut/hello?nonce={NONCE}&address=127.0.0.1:8000")
    assert answer.status == 200
    assert is_proof([FALLBACK], answer.body, nonce=NONCE, address="127.0.0.1:8000")
    assert is_proof([KEY], answer.body, nonce=NONCE, address="127.0.0.1:8000")


def test_server_does_not_prove_itself_for_another_address(endpoint):
    """A stranger cannot pass its own questioner on."""
    assert call(endpoint, "GET", f"/hello?nonce={NONCE}&address=127.0.0.1:9000").status == 404
    assert call(endpoint, "GET", f"/hello?nonce={NONCE}&address=127.0.0.1:8000", server=None).status == 404


def test_server_reached_through_a_network_proves_itself(endpoint):
    """Where addresses are translated, none is named, and the proof is for none."""
    answer = call(endpoint, "GET", f"/hello?nonce={NONCE}")
    assert is_proof([KEY], answer.body, nonce=NONCE, address="")


TOO_MANY_FIELDS = "?" + "&".join([f"nonce={NONCE}"] * 9)


@pytest.mark.parametrize(
    "query", ["", "?nonce=", "?nonce=short", "?nonce=" + "n" * 65, "?nonce=%0A" + "n" * 30, TOO_MANY_FIELDS]
)
def test_question_without_a_proper_nonce_finds_nothing(endpoint, query):
    """A nonce has one form, so that a proof can be nothing else."""
    assert call(endpoint, "GET", f"/hello{query}").status == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "/publish"), ("POST", "/hello"), ("GET", "/other")])
def test_there_are_two_doors(endpoint, method, path):
    """Everything else is unknown."""
    assert call(endpoint, method, path).status == 404


def test_refusals_are_logged_at_most_once_a_second(endpoint, clock, caplog):
    """The reason is for the operator, and a flood of requests is no flood of lines."""
    with caplog.at_level(logging.WARNING, "django_jugpush"):
        for _ in range(3):
            call(endpoint, "POST", "/publish", body=BODY, headers=signed(key=FOREIGN))
        clock.now += 1
        call(endpoint, "POST", "/publish", body=BODY)
    assert ["SECRET_KEY" in caplog.messages[0], "not signed" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def test_header_of_a_stranger_is_cut_in_the_log(endpoint, caplog):
    """It may have as many letters as a head holds."""
    with caplog.at_level(logging.WARNING, "django_jugpush"):
        call(endpoint, "POST", "/publish", headers={"X-Forwarded-" + "x" * 10_000: "x"})
    assert len(caplog.messages[0]) < 300


def test_answers_are_not_stored(endpoint):
    """Neither cached nor guessed at."""
    headers = call(endpoint, "GET", f"/hello?nonce={NONCE}").headers
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
