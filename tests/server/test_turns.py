"""The event loop's time, shared out among connections."""

from __future__ import annotations

import asyncio
import time

import pytest

from django_jugpush.server.turns import Turns


def burn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_step_is_done_at_once_while_there_is_time():
    """So who says little does not wait."""

    async def main():
        turns, done = Turns(budget=10), []
        turns.do(lambda: done.append(1))
        await turns.done(lambda: done.append(2))
        assert done == [1, 2]

    asyncio.run(main())


def test_what_does_not_fit_waits_for_the_next_turn_of_the_loop():
    """In order; and others get their turn between."""

    async def main():
        turns, done = Turns(budget=0.001), []

        def step(number):
            burn(0.001)
            done.append(number)

        for number in range(5):
            turns.do(lambda number=number: step(number))
        seen = []
        while len(done) < 5:
            seen.append(len(done))
            await asyncio.sleep(0)
        assert done == [0, 1, 2, 3, 4]
        assert seen == [1, 2, 3, 4]

    asyncio.run(main())


def test_each_client_has_one_step_at_a_time():
    """One that says much does not go before one that says little."""

    async def main():
        turns, done = Turns(budget=0.001), []

        async def client(name, steps):
            for _ in range(steps):
                await turns.done(lambda: (burn(0.001), done.append(name)))

        await asyncio.gather(client("much", 10), client("little", 2), client("medium", 4))
        assert done.index("little") < 3
        assert max(at for at, name in enumerate(done) if name == "little") < 6

    asyncio.run(main())


@pytest.mark.parametrize("budget", [10, 0.0001])
def test_fault_of_a_step_is_its_client_s(budget):
    """Whether it is done at once or later; the others' are done."""

    async def main():
        turns = Turns(budget=budget)
        done = []

        async def fail():
            with pytest.raises(RuntimeError, match="a fault"):
                await turns.done(lambda: (burn(0.001), done.extend(raising())))

        async def other():
            await turns.done(lambda: (burn(0.001), done.append(1)))

        await asyncio.gather(other(), fail(), other())
        assert done == [1, 1]

    asyncio.run(main())


def raising():
    raise RuntimeError("a fault")


def test_fault_that_nobody_waits_for_is_logged(caplog):
    """And holds up none of the steps that follow."""

    async def main():
        turns, done = Turns(budget=10), []
        turns.do(raising)
        turns.do(lambda: done.append(1))
        assert done == [1]

    asyncio.run(main())
    assert "a fault" in caplog.text


def test_step_of_a_client_that_is_gone_is_left_out():
    """It was cancelled while it waited."""

    async def main():
        turns, done = Turns(budget=0.0001), []
        for _ in range(2):
            turns.do(lambda: burn(0.001))
        waiting = asyncio.create_task(turns.done(lambda: done.append("gone")))
        await asyncio.sleep(0)
        waiting.cancel()
        turns.do(lambda: burn(0.001))
        await turns.done(lambda: done.append("here"))
        assert done == ["here"]

    asyncio.run(main())
