"""What a grant is worth."""

from __future__ import annotations

import time

from django_jugpush.core.codes import ErrorCode

from .world import scenario


def test_pages_that_must_all_be_fetched_are_fetched_one_by_one(monkeypatch):
    """Whom a single message concerns need not wait."""

    async def test(world, monkeypatch):
        clients = [await world.client() for _ in range(5)]
        world.tell(users=("1",), login="L1")
        assert "spread" not in await clients[0].subscribe()
        world.rights._judge.revocations.forget_before(time.time() + 1)
        for client in clients[1:]:
            answer = await client.subscribe(token="2/L2")
            assert (answer["code"], answer["spread"]) == (ErrorCode.TOKEN_EXPIRED, 5 * 1000 // 50)

    scenario(test)(monkeypatch)
