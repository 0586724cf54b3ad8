"""Questions to the project, and what it tells."""

from __future__ import annotations

import asyncio
import time

import pytest

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.control import ControlMessage
from django_jugpush.exceptions import SubscriptionDenied, TokenExpired
from django_jugpush.server.refusals import MAX_PER_SECOND

from .world import scenario


@scenario
async def test_answer_has_the_token_for_the_next_time(world, monkeypatch):
    """But that to a public channel."""
    client = await world.client()
    assert (await client.subscribe())["token"] == "1/L1"
    assert "token" not in await client.subscribe("open", None)


@scenario
async def test_question_is_answered_in_a_thread(world, monkeypatch):
    """Meanwhile the connection goes on; the answer knows what was told before."""
    world.tell(users=("9",))
    client = await world.client()
    message = world.tell(channel="elsewhere")
    assert (await client.subscribe(token="?1"))["token"] == "1/L1"
    ((question, after),) = world.project.asked
    assert (question.reason, question.grant.user, after) == ("connection", "1", message.id)


def test_project_that_fails_does_not_fill_the_log(monkeypatch, caplog):
    """Whoever has a token can ask as often as commands are taken."""

    async def test(world, monkeypatch):
        def answer(question):
            raise RuntimeError("the database is away")

        client = await world.client()
        world.tell(channel="elsewhere")
        world.project.answer = answer
        for _ in range(3 * MAX_PER_SECOND):
            word = await client.subscribe(token="?1")
            assert word["code"] == ErrorCode.INTERNAL
        assert 0 < caplog.text.count("Traceback") <= 2 * MAX_PER_SECOND

    scenario(test)(monkeypatch)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SubscriptionDenied("no"), ErrorCode.DENIED),
        (TokenExpired("render"), ErrorCode.TOKEN_EXPIRED),
        (RuntimeError("the database is away"), ErrorCode.INTERNAL),
        (TimeoutError(), ErrorCode.INTERNAL),
    ],
)
def test_answer_that_is_no_yes_is_a_refusal(error, code, monkeypatch):
    """With the code that says whether to come back."""

    async def test(world, monkeypatch):
        def answer(question):
            raise error

        client = await world.client()
        message = world.tell(channel="elsewhere")
        world.project.answer = answer
        word = await client.subscribe(token="?1")
        assert (word["type"], word["code"]) == ("error", code)
        assert word.get("renew") == (message.id if code == ErrorCode.TOKEN_EXPIRED else None)

    scenario(test)(monkeypatch)


@scenario
async def test_answer_is_nothing_worth_if_something_happened_meanwhile(world, monkeypatch):
    """The login has ended while the rule was asked."""
    client = await world.client()
    loop = asyncio.get_running_loop()

    def answer(question):
        told = asyncio.run_coroutine_threadsafe(tell(), loop)
        told.result(10)
        return world.project.grant("orders", "1", "L1", "authorizer")

    async def tell():
        world.tell("revoke", users=("1",), login="L1", is_final=True)

    world.project.answer = answer
    assert (await client.subscribe(token="?1"))["code"] == ErrorCode.DENIED


@scenario
async def test_question_is_forgotten_with_its_client(world, monkeypatch):
    """Nothing is left of one that was withdrawn, or whose connection is gone."""
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(question):
        loop.call_soon_threadsafe(answered.set)
        return world.project.grant("orders", "1", "L1", "authorizer")

    world.project.answer = answer
    client = await world.client()
    world.push.connections.receive(client.connection, '{"type":"subscribe","id":1,"channel":"orders","token":"?1"}')
    world.push.connections.receive(client.connection, '{"type":"unsubscribe","id":2,"channel":"orders"}')
    gone = await world.client()
    world.push.connections.receive(gone.connection, '{"type":"subscribe","id":1,"channel":"orders","token":"?1"}')
    world.push.connections.connection_lost(gone.connection)
    assert (await client.word())["type"] == "unsubscribed"
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert client.words() == []
    assert world.push._subscribing._asking == {}
    assert world.push.hub.channels() == set()


@scenario
async def test_revocation_that_comes_while_the_channel_is_opened_counts(world, monkeypatch):
    """Between the grant and the answer."""
    client = await world.client()
    read = world.feed.read

    async def slow_read(channel, since):
        world.tell(users=("1",))
        return await read(channel, since)

    monkeypatch.setattr(world.feed, "read", slow_read)
    word = await client.subscribe()
    assert (word["type"], word["code"]) == ("error", ErrorCode.REAUTHORIZE)
    assert world.push.hub.channels() == set()


@scenario
async def test_sweep_tells_what_it_found(world, monkeypatch):
    """Of the users who are connected, with the fingerprints of their grants."""
    client, other = await world.client(), await world.client()
    await client.subscribe()
    await other.subscribe(token="2/L2")
    found = ControlMessage(
        id="sweep", at=time.time(), kind="reauthorize", namespace="tests", users=("1",), fingerprints=("F2",)
    )
    world.project.changed = [found]
    world.rights._sweep_at = 0
    world.rights.tick()
    assert (await client.word())["code"] == ErrorCode.REAUTHORIZE
    assert world.project.connected == {("tests", "1"): {"F1"}, ("tests", "2"): {"F1"}}
    assert other.words() == []
