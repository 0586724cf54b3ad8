"""Whoever is concerned by a change of rights is stopped at once."""

from __future__ import annotations

import asyncio

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.control import CONTROL_CHANNEL
from django_jugpush.core.publication import Publication
from django_jugpush.server.rights import enforcing

from .world import scenario


@scenario
async def test_what_is_stopped_is_stopped_in_the_same_turn(world, monkeypatch):
    """Nothing that is published after the message gets through."""
    client = await world.client()
    await client.subscribe()
    world.tell(users=("1",))
    world.publish()
    (word,) = client.words()
    assert (word["type"], word["code"]) == ("unsubscribed", ErrorCode.REAUTHORIZE)
    assert world.push.counts.stopped[ErrorCode.REAUTHORIZE] == 1


@scenario
async def test_other_identities_and_channels_go_on(world, monkeypatch):
    """A connection without the user's own subscriptions, too."""
    other, visitor = await world.client(), await world.client()
    await other.subscribe(token="2/L2")
    await visitor.subscribe("open", None)
    world.tell(users=("1",))
    world.tell("revoke", users=("1",), login="L1", is_final=True)
    world.publish()
    assert [word.get("data") for word in other.words()] == [1]
    assert visitor.words() == []


def test_gap_makes_everybody_ask(monkeypatch):
    async def test(world, monkeypatch):
        client = await world.client()
        await client.subscribe()
        gap = Publication(id="", channel=CONTROL_CHANNEL, namespace="tests", stale="gap")
        await asyncio.sleep(0.002)
        world.push._fan_out.deliver([gap])
        assert client.words()[0]["code"] == ErrorCode.REAUTHORIZE

    scenario(test)(monkeypatch)


@scenario
async def test_many_are_stopped_in_several_turns(world, monkeypatch):
    """And are told to distribute what they do."""
    monkeypatch.setattr(enforcing, "SESSIONS_PER_TURN", 2)
    clients = [await world.client() for _ in range(5)]
    for client in clients:
        await client.subscribe()
    world.tell()
    assert [len(client.words()) for client in clients] == [1, 1, 0, 0, 0]
    words = [await client.word() for client in clients[2:]]
    assert {word["spread"] for word in words} == {5 * 1000 // 50}


@scenario
async def test_nothing_is_left_of_sessions_that_are_gone(world, monkeypatch):
    """Memory returns."""
    clients = [await world.client() for _ in range(3)]
    for client in clients:
        await client.subscribe()
    world.tell(users=("1",))
    assert len(world.rights._enforcer.stopped) == 3
    for client in clients:
        world.push.connections.connection_lost(client.connection)
    assert not world.rights._enforcer.stopped
    assert not world.rights._enforcer.users
