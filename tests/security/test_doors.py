"""Every way in: door, token, kind of channel, and origin; against real servers."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from django_jugpush import channel, user_channel
from django_jugpush.access import tokens
from django_jugpush.access.authority import authorize
from django_jugpush.access.logins import fingerprint
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from tests.app.models import Note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

OPEN = "subscribed"

DOORS = ["of its own", "mounted"]

ORIGINS = {
    "none": (None, True),
    "own": ("http://testserver", True),
    "foreign": ("https://evil.example", False),
    "null": ("null", False),
    "lookalike": ("http://testserver.evil.example", False),
}


def now():
    return time.time()


class Case:
    """Somebody in front of a channel."""

    def __init__(self, name, user):
        self.name, self.user = name, user

    def token(self, *, name=None, granted_by="page", **claims):
        return tokens.make_subscription_token(
            name or self.name,
            granted_by=granted_by,
            **{"now": now(), "user": str(self.user.pk), "login": "L1", "fingerprint": fingerprint(self.user)} | claims,
        )

    def connection(self, **claims):
        claims = {
            "now": now(),
            "user": str(self.user.pk),
            "login": "L1",
            "fingerprint": fingerprint(self.user),
        } | claims
        return tokens.make_connection_token(**claims)

    def resume(self, **changes):
        return tokens.make_resume_token(replace(authorize(self.name, self.token()), **changes))


def flipped(token):
    return token[:-1] + ("A" if token[-1] != "A" else "B")


TOKENS = {
    "none": lambda case: None,
    "empty": lambda case: "",
    "garbage": lambda case: "x" * 50,
    "too long": lambda case: "s." + "x" * 2000,
    "page's": lambda case: case.token(),
    "page's, damaged": lambda case: flipped(case.token()),
    "page's, expired": lambda case: case.token(now=now() - 3600),
    "page's, of the future": lambda case: case.token(now=now() + 3600),
    "of another channel": lambda case: case.token(name="elsewhere"),
    "resume": lambda case: case.resume(),
    "resume, damaged": lambda case: flipped(case.resume()),
    "resume, expired": lambda case: case.resume(expires=now() - 3600),
    "resume as a page's": lambda case: "s" + case.resume()[1:],
    "page's as a resume": lambda case: "r" + case.token()[1:],
    "connection": lambda case: case.connection(),
    "connection, expired": lambda case: case.connection(now=now() - 3600),
    "connection, of nobody": lambda case: case.connection(user=None, login=None, fingerprint=None),
    "connection, of before the password": lambda case: case.connection(fingerprint="0" * 16),
    "connection, of a user who is gone": lambda case: case.connection(user="999999"),
}

KINDS = {
    "public": lambda user: "banner",
    "rule that says yes": lambda user: "yes",
    "rule that says no": lambda user: "no",
    "undeclared": lambda user: "orders",
    "own": user_channel,
    "instance": lambda user: f"app.note:{Note.objects.create().pk}",
    "instance that is missing": lambda user: "app.note:999999",
}

GOOD = {"page's", "resume"}

EXPIRED = {"page's, expired", "resume, expired", "connection, expired"}


def expected(token, kind):
    """Return the answer: what the table in docs/topics/security.rst comes to."""
    if token in EXPIRED:
        return ErrorCode.TOKEN_EXPIRED
    if kind == "public" and token in ("none", "empty"):
        return OPEN
    if token in GOOD:
        return OPEN
    if kind == "public" and token.startswith("connection"):
        return OPEN
    if token == "connection":
        return OPEN if kind in ("rule that says yes", "own", "instance") else ErrorCode.DENIED
    if token == "connection, of nobody":
        return OPEN if kind == "rule that says yes" else ErrorCode.DENIED
    if token == "connection, of before the password":
        return ErrorCode.TOKEN_EXPIRED
    return ErrorCode.DENIED


@pytest.fixture(params=DOORS)
def server(request, start):
    """A push server of its own, or one that is mounted in the project's ASGI application."""
    return start(mounted=request.param == "mounted")


@pytest.fixture
def rules():
    channel("yes", lambda user: True)
    channel("no", lambda user: False)
    channel(Note, lambda user, note: user.is_authenticated)


@pytest.mark.parametrize("origin", ["none", "own"])
def test_every_token_at_every_channel(server, open_tab, rules, alice, origin):
    """Each on a connection of its own, and by both doors: what opens, and with which code it is refused."""
    name = ORIGINS[origin][0]
    wrong = []
    for (token, make), (kind, name_for) in itertools.product(TOKENS.items(), KINDS.items()):
        case = Case(name_for(alice), alice)
        tab = open_tab(server, origin=Origin(name) if name else None)
        answer = tab.subscribe(case.name, make(case))
        got = answer.get("code", answer["type"])
        if got != expected(token, kind):
            wrong.append((token, kind, got, expected(token, kind)))
        tab.close()
    assert wrong == []


@pytest.mark.parametrize("origin", [name for name, (_, is_welcome) in ORIGINS.items() if not is_welcome])
def test_no_token_opens_anything_to_a_foreign_page(server, open_tab, rules, alice, origin):
    """Whatever it presents: it is sent away, and no command of it is answered."""
    heard = set()
    for make, name_for in itertools.product(TOKENS.values(), KINDS.values()):
        case = Case(name_for(alice), alice)
        tab = open_tab(server, origin=Origin(ORIGINS[origin][0]), greet=False)
        with contextlib.suppress(ConnectionClosed):
            tab.send(case.name, make(case))
        first = tab.wait(lambda word: True)
        heard.add((first["type"], first["code"]))
        tab.close()
        heard |= {(word["type"], word.get("code")) for _, word in tab.words}
    assert heard == {("disconnect", DisconnectCode.ORIGIN_DENIED)}


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_origin(server, open_tab, origin):
    """Whoever is refused is told so, and gets nothing: neither a greeting nor a public channel."""
    name, is_welcome = ORIGINS[origin]
    tab = open_tab(server, origin=Origin(name) if name else None, greet=False)
    first = tab.wait(lambda word: True)
    if is_welcome:
        assert first["type"] == "connected"
        assert tab.subscribe("banner")["type"] == OPEN
    else:
        assert (first["type"], first["code"]) == ("disconnect", DisconnectCode.ORIGIN_DENIED)


@pytest.mark.parametrize("name", ["", "a\n", "x" * 300, "\u202e"])
def test_names_that_cannot_be(server, open_tab, name, alice):
    answer = open_tab(server).subscribe(name, Case("orders", alice).token())
    assert answer["code"] == ErrorCode.INVALID_CHANNEL


@pytest.mark.parametrize("name", ["user:999", "session:x", "presence:x", "jugpush:control", "jugpush:x"])
def test_reserved_names_open_by_no_connection_token(server, open_tab, name, alice):
    """Nor by a pattern that matches everything."""
    channel("<path:anything>", public=True)
    for token in (None, Case(name, alice).connection()):
        assert open_tab(server).subscribe(name, token)["code"] == ErrorCode.DENIED
