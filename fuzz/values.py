"""Targets that are functions: each takes bytes, and raises if the contract is broken."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from django_jugpush.access.control import make_control, open_control
from django_jugpush.access.tokens import (
    make_connection_token,
    make_public_token,
    make_resume_token,
    make_subscription_token,
    verify_token,
)
from django_jugpush.brokers.local import LocalFeed
from django_jugpush.core.codec import encode, encode_publication
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.events import SubscribeRequested
from django_jugpush.core.firehose import read_message
from django_jugpush.core.grants import Grant
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.session import Session, SessionState
from django_jugpush.core.signing import PUBLISH_PATH, SIGNATURE_HEADER, sign_request
from django_jugpush.exceptions import InvalidToken
from django_jugpush.server.publish import PublishEndpoint

from . import corpus

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

MAX_SIZE = 65_536


def commands(random: Random) -> tuple[list[bytes], Target]:
    """What a client says, to sessions that are granted and refused what they ask for."""
    session: Session | None = None
    now = 0.0
    codes = {int(code) for code in (*ErrorCode, *DisconnectCode)}

    def run(data: bytes) -> None:
        nonlocal session, now
        now += random.choice((0.0, 0.001, 0.1))
        if session is None or session.state is not SessionState.CONNECTED or random.random() < 0.01:
            session = Session(client="client-0123456789", max_subscriptions=5)
            session.connect("1", now=now, place=0.5)
        session.receive_data(data if random.random() < 0.5 else data.decode("utf-8", "surrogateescape"), now=now)
        session.tick(now)
        for event in session.events_received():
            if isinstance(event, SubscribeRequested):
                _decide(session, event, random)
        for reply in session.data_to_send():
            word = json.loads(encode(reply))
            assert word.get("code", 100) in codes, word

    return corpus.COMMANDS, run


def _decide(session: Session, event: SubscribeRequested, random: Random) -> None:
    if random.random() < 0.5:
        session.refuse(event.request, random.choice(list(ErrorCode)))
    else:
        user = random.choice((None, "1", "2"))
        session.accept(event.request, Grant(channel=event.channel, user=user, granted_by="page"))


def tokens(random: Random) -> tuple[list[bytes], Target]:
    """What opens a channel."""
    now = time.time()
    subscription = make_subscription_token(
        "news", granted_by="page", now=now, user="1", login="x" * 22, fingerprint="f" * 16, after=("a", "b")
    )
    genuine = [
        subscription,
        make_subscription_token("news", granted_by="page", now=now - 10**6),
        make_public_token("news"),
        make_connection_token(now=now, user="1", login="x" * 22, fingerprint="f" * 16),
        make_resume_token(verify_token(subscription, "news", now=now)),
    ]

    def run(data: bytes) -> None:
        token = data.decode("utf-8", random.choice(("replace", "surrogateescape")))
        try:
            verify_token(token, "news", now=now)
        except InvalidToken:
            return
        assert token in genuine, "a token was accepted that nobody has made"

    return [token.encode() for token in genuine], run


def control(random: Random) -> tuple[list[bytes], Target]:
    """What tells push servers of logins and rights, on the way through a Redis that others can write to."""
    messages = [
        make_control("revoke", login="x" * 22, users=("1",), is_final=True),
        make_control("reauthorize", users=("1", "2"), fingerprints=("f" * 16,)),
        make_control("disconnect", channel="news"),
    ]
    genuine = {bytes(message.data) for message in messages}

    def run(data: bytes) -> None:
        publication = msgspec.structs.replace(messages[0], data=msgspec.Raw(data))
        if open_control(publication) is not None:
            assert msgspec.json.encode(msgspec.json.decode(data)) in genuine, "a message was taken that nobody has sent"

    return sorted(genuine), run


def firehose(random: Random) -> tuple[list[bytes], Target]:
    """What anyone publishes on the Redis channel of 2011."""

    def run(data: bytes) -> None:
        publications, complaint = read_message(data, max_size=MAX_SIZE)
        assert publications or complaint, "neither delivered nor complained of"
        for publication in publications[:3]:
            word = json.loads(encode_publication(publication, spread=None))
            assert "type" not in word

    return corpus.FIREHOSE, run


def publish(random: Random) -> tuple[list[bytes], Target]:
    """The body of a publish request, signed and not, and all of its headers."""
    key = b"k" * 32
    feed = LocalFeed()
    endpoint = PublishEndpoint([key], feed)

    async def call(scope: dict[str, Any], body: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await endpoint(scope, receive, send)
        return int(sent[0]["status"])

    def run(data: bytes) -> None:
        is_signed = random.random() < 0.8
        signature = sign_request(key, method="POST", path=PUBLISH_PATH, body=data, now=time.time() + 1)
        header = str(signature).encode() if is_signed else data[:100]
        scope = {
            "type": "http",
            "method": "POST" if is_signed or random.random() < 0.5 else "GET",
            "path": "/publish" if is_signed or random.random() < 0.5 else "/hello",
            "query_string": b"" if is_signed else data[:300],
            "headers": [
                (b"content-length", str(len(data)).encode() if is_signed else data[:20]),
                (SIGNATURE_HEADER.lower().encode(), header),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        status = _drive(call(scope, data))
        assert status in (200, 204, 400, 404), status
        assert is_signed or status == 404 or scope["path"] == "/hello", "an unsigned request was taken"

    publications = [Publication(id="1", channel="news", data=msgspec.Raw(b'{"a":1}')), *corpus.publications()]
    bodies = [b'{"v":1,"publications":[%s]}' % msgspec.json.encode(one) for one in publications]
    return [*bodies, b"nonce=" + b"n" * 32 + b"&address=127.0.0.1:80"], run


def _drive(coroutine: Any) -> int:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return int(stop.value)
    raise AssertionError("it waits for something")


def positions(random: Random) -> tuple[list[bytes], Target]:
    """What a client says that it has, and the streams that it is looked up in."""
    feed = LocalFeed()
    for publication in corpus.publications():
        feed.receive([publication])
    full_name = corpus.publications()[0].full_name
    newest = _drive_replay(feed.read(full_name, None)).position

    def run(data: bytes) -> None:
        since = Position.parse(data.decode("utf-8", "replace"))
        replay = _drive_replay(feed.read(full_name, since))
        assert not (replay.is_complete and since is None and replay.publications)

    return [str(newest).encode(), b":0-1763924990001", b"", b"k3Fz0aQ_:41-1763924990001"], run


def _drive_replay(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something")


TARGETS: dict[str, Callable[[Random], tuple[list[bytes], Target]]] = {
    "commands": commands,
    "tokens": tokens,
    "control": control,
    "firehose": firehose,
    "publish": publish,
    "positions": positions,
}
