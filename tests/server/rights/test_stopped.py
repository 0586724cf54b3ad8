"""Subscriptions that were stopped a moment ago."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

from .world import scenario


def test_right_that_comes_back_at_once_reads_what_it_missed(monkeypatch):
    """A fresh page's token would open nothing from before; the right was there before, and never away for long."""

    async def test(world, monkeypatch):
        now = time.time()
        client = await world.client()
        old, new = now - 100, now + 100
        authorize = world.project.authorize
        floors = iter([old, new, new])

        def with_floor(channel, token):
            return replace(authorize(channel, token), history_from=next(floors))

        monkeypatch.setattr(world.push._subscribing, "_authorize", with_floor)
        answer = await client.subscribe()
        world.tell(users=("1",))
        world.publish()
        client.words()
        await asyncio.sleep(0)
        world.rights._judge.revocations.__init__()  # as if the page had been asked
        word = {"type": "subscribe", "id": 2, "channel": "orders", "token": "1/L1", "since": answer["position"]}
        world.push.connections.receive(client.connection, json.dumps(word))
        again = await client.word()
        assert (again["recovered"], len(again["publications"])) == (True, 1)
        other = await world.client()
        world.push.connections.receive(other.connection, json.dumps(word))
        assert (await other.word())["recovered"] is False

    scenario(test)(monkeypatch)
