"""The time that passes for sessions."""

from __future__ import annotations

import asyncio

from django_jugpush.server.heartbeats import TICKS_PER_PING

from .conftest import make_push


def test_failing_heartbeat_does_not_end_the_others(monkeypatch, caplog):
    """It is tried again with the next tick."""

    async def main():
        push = make_push(ping_interval=0.01 * TICKS_PER_PING)
        ticked = asyncio.Event()
        ticks = []

        async def tick():
            ticks.append(True)
            if len(ticks) == 1:
                raise RuntimeError("a fault of the heartbeat")
            ticked.set()

        monkeypatch.setattr(push._heartbeats, "tick", tick)
        await push.start()
        await asyncio.wait_for(ticked.wait(), 10)
        await push.stop()

    asyncio.run(main())
    assert "a fault of the heartbeat" in caplog.text
