"""Threads in which the project is asked."""

from __future__ import annotations

import asyncio
import threading

import pytest

from django_jugpush.server.rights.questions import MAX_OF_ONE, Questions, TooManyQuestions

TIMEOUT = 10


def run(main):
    """Run a test with a pool of its own."""

    async def guarded():
        return await asyncio.wait_for(main(), TIMEOUT)

    asyncio.run(guarded())


def test_answer_and_error_come_back():
    async def main():
        questions = Questions()
        assert await questions.ask(lambda left, right: left + right, 1, 2) == 3
        assert await questions.ask(threading.current_thread) is not threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            await questions.ask(lambda: 1 / 0)
        questions.stop()

    run(main)


def test_threads_are_few_and_begin_when_they_are_needed():
    async def main():
        questions = Questions(workers=2)
        assert questions._threads == []
        names = await asyncio.gather(*(questions.ask(lambda: threading.current_thread().name) for _ in range(20)))
        assert len(set(names)) <= 2
        threads = list(questions._threads)
        questions.stop()
        for thread in threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    run(main)


def test_one_user_leaves_room_for_others():
    """Whoever takes questions back and asks others has those too until a thread comes to them."""

    async def main():
        questions, go = Questions(workers=1), threading.Event()
        busy = threading.Event()
        first = asyncio.create_task(questions.ask(lambda: (busy.set(), go.wait(TIMEOUT))))
        assert await asyncio.to_thread(busy.wait, TIMEOUT)
        greedy = [asyncio.create_task(questions.ask(lambda: 1, about="alice")) for _ in range(MAX_OF_ONE)]
        await asyncio.sleep(0)
        greedy.pop().cancel()
        with pytest.raises(TooManyQuestions):
            await questions.ask(lambda: 1, about="alice")
        others = [asyncio.create_task(questions.ask(lambda: 2, about=name)) for name in ("bob", None)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *greedy)
        assert await asyncio.gather(*others) == [2, 2]
        assert await questions.ask(lambda: 3, about="alice") == 3
        assert not questions._of_one
        questions.stop()

    run(main)


def test_too_many_questions_are_refused_at_once():
    """And memory stays bounded."""

    async def main():
        questions, go = Questions(workers=1, max_waiting=2), threading.Event()
        busy = threading.Event()
        first = asyncio.create_task(questions.ask(lambda: (busy.set(), go.wait(TIMEOUT))))
        assert await asyncio.to_thread(busy.wait, TIMEOUT)
        waiting = [asyncio.create_task(questions.ask(lambda: 1)) for _ in range(2)]
        await asyncio.sleep(0)
        assert len(questions) == 2
        with pytest.raises(TooManyQuestions):
            await questions.ask(lambda: 1)
        go.set()
        assert await asyncio.gather(*waiting) == [1, 1]
        await first
        questions.stop()

    run(main)


def test_answer_that_takes_too_long_is_not_waited_for():
    """Nobody else waits longer for it, as long as there is another thread."""

    async def main():
        questions, go = Questions(workers=2, timeout=0.05), threading.Event()
        with pytest.raises(TimeoutError):
            await questions.ask(go.wait, TIMEOUT)
        assert await questions.ask(lambda: 1) == 1
        go.set()
        questions.stop()

    run(main)


def test_question_that_nobody_waits_for_is_not_asked():
    async def main():
        questions, go, asked = Questions(workers=1), threading.Event(), []
        first = asyncio.create_task(questions.ask(go.wait, TIMEOUT))
        await asyncio.sleep(0)
        second = asyncio.create_task(questions.ask(asked.append, 1))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        go.set()
        await first
        assert await questions.ask(lambda: 2) == 2
        assert asked == []
        questions.stop()

    run(main)
