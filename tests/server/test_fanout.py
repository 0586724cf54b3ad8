"""What the feed tells, on its way to the hub."""

from __future__ import annotations

import asyncio

import pytest

from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication

from .conftest import make_push


@pytest.mark.parametrize("max_rate", [1e5, 1e3])
def test_newest_arrives_on_uvloop(max_rate):
    """It makes no timer of one that is due at once."""
    uvloop = pytest.importorskip("uvloop")

    async def scenario():
        push, offsets, newest_came = make_push(), [], asyncio.Event()

        def publish(publication):
            offsets.append(publication.position.offset)
            if offsets[-1] == 3:
                newest_came.set()
            return 1

        push.hub.publish = publish
        for offset in (1, 2, 3):
            one = Publication(id="id", channel="news", max_rate=max_rate, position=Position("e", offset, offset))
            push._fan_out.deliver([one])
        async with asyncio.timeout(5):
            await newest_came.wait()
        assert offsets == [1, 3]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
