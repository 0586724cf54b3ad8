"""What a push server asks Redis: what streams hold, and whether Redis has forgotten anything."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, OutOfMemoryError

from django_jugpush.core.history import make_epoch
from django_jugpush.core.positions import Position
from django_jugpush.exceptions import BrokerUnavailable

from .names import RedisNames
from .scripts import (
    FOLLOW,
    READ,
    RENEW,
    Answer,
    Argument,
    Memory,
    encode,
    gap,
    parse_answer,
    parse_position,
    since_arguments,
)
from .tasks import heed_cancellation

__all__ = ["Reader", "RedisRefused"]

BATCH = 100
"""Questions in one round trip."""

BEAT = 1.0
"""Seconds between two looks at Redis's memory."""

SILENCE = 10.0
"""Seconds without a beat of any push server after which one that begins takes nothing before them for granted."""

LEAVE_TIMEOUT = 0.5
"""Seconds that a push server that stops has for saying so; of one that does not say it, :data:`SILENCE` tells."""

NEVER = sys.maxsize
"""A moment that has not come."""

RENEWAL_SECONDS = 300
"""How long the word that a stream began anew is kept in it."""


class RedisRefused(BrokerUnavailable):
    """Redis is there, and answers one question with an error."""


class Reader:
    """
    Asks as many questions in one go as there are, over one connection at a time.

    Args:
        names: Those of this Redis.
        namespace: The setting ``NAMESPACE``, also where it is the path of a callable.
        forgotten: Called when Redis has forgotten something.
    """

    def __init__(self, names: RedisNames, namespace: str, *, forgotten: Callable[[], None]) -> None:
        self.names = names
        self._key = names.memory(namespace)
        self._forgotten = forgotten
        self._memory = Memory(since=NEVER, beat=0, back=0, servers=1)
        self._id = secrets.token_urlsafe(6)
        self._crowd = _Crowd()
        self._is_connected = False
        # Equal questions are asked once, but only while they wait: to what has been asked already the answer may be
        # older than what was delivered since.
        self._questions: dict[Hashable, _Question] = {}
        self._asked = asyncio.Event()

    @property
    def servers(self) -> int:
        """How many push servers follow this Redis, or did lately: one that has lost its data knows of none at first."""
        return self._crowd.most

    async def connect(self, client: redis.asyncio.Redis) -> None:
        """Find out what Redis remembers, before it is asked for anything."""
        try:
            # The second is but a way to bring the script.
            memory, _ = await _send(
                client,
                [
                    FOLLOW.call([self._key], *self._follow_arguments(is_new=True), in_full=True),
                    READ.call([self._key, self._key], *since_arguments(None), in_full=True),
                ],
            )
            self._take(memory)
        except OutOfMemoryError:
            self._memory = self._memory._replace(since=NEVER)

    async def run(self, client: redis.asyncio.Redis) -> None:
        """Ask until the connection breaks."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + BEAT
        asking: list[_Question] = []
        self._is_connected = True
        try:
            while True:
                await self._wait(beat_at)
                if loop.time() >= beat_at:
                    await self._follow(client)
                    beat_at = loop.time() + BEAT
                asking = [self._questions.pop(key) for key in list(islice(self._questions, BATCH))]
                if asking:
                    await self._ask(client, asking)
        finally:
            self._is_connected = False
            for question in [*asking, *self._questions.values()]:
                question.settle(BrokerUnavailable("Redis went away before it answered."))
            self._questions.clear()

    async def leave(self) -> None:
        """Say, if that can be said at once, that this push server is no more."""
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await self._answer("leave", ("HDEL", self._key, f"server:{self._id}"))

    async def read(self, channel: str, since: Position | None) -> Answer:
        """
        Return what was published to a channel after a position.

        Raises:
            BrokerUnavailable: If Redis cannot be asked.
        """
        answer = await self._read(channel, since)
        if not answer.end.is_moment and not self._memory.covers(answer.end):
            # Nobody knows whether it once was longer. Whoever follows it must be told, and stand elsewhere.
            await self.renew(channel, answer.end)
            answer = await self._read(channel, since)
        return answer

    async def end(self, channel: str) -> Position | None:
        """
        Return where a channel's stream ends; None if there is none.

        Raises:
            BrokerUnavailable: If Redis cannot be asked.
        """
        command = ("HMGET", self.names.of(channel).meta, "epoch", "last")
        epoch, last = await self._answer(channel, command)
        return parse_position(epoch, last) if epoch else None

    async def renew(self, channel: str, position: Position) -> None:
        """
        Give a channel's stream another epoch, if it still has that of ``position``, and tell of the gap.

        Raises:
            BrokerUnavailable: If Redis cannot be asked.
        """
        names = self.names.of(channel)
        command = RENEW.call(
            [names.meta, names.stream],
            position.epoch,
            make_epoch(),
            names.channel,
            encode(gap(channel)),
            RENEWAL_SECONDS * 1000,
            self._memory.back,
            in_full=True,
        )
        await self._answer(("renew", channel, position), command)

    async def _read(self, channel: str, since: Position | None) -> Answer:
        names = self.names.of(channel)
        command = READ.call([names.meta, names.stream], *since_arguments(since))
        return parse_answer(await self._answer((channel, since), command), channel, since, self._memory)

    async def _answer(self, key: Hashable, command: Sequence[Argument]) -> Any:
        if not self._is_connected:
            raise BrokerUnavailable("Redis cannot be reached.")
        question = self._questions.setdefault(key, _Question(command))
        self._asked.set()
        # Others may wait for the same.
        answer = await asyncio.shield(question.answer)
        if isinstance(answer, BrokerUnavailable):
            raise answer
        if isinstance(answer, Exception):
            raise RedisRefused(f"Redis answers with an error: {answer}") from answer
        return answer

    async def _wait(self, until: float) -> None:
        if not self._questions:
            self._asked.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._asked.wait()

    async def _ask(self, client: redis.asyncio.Redis, questions: Sequence[_Question]) -> None:
        *answers, since = await _send(
            client, [*(question.command for question in questions), ("HGET", self._key, "since")]
        )
        if any(isinstance(answer, NoScriptError) for answer in answers):
            raise redis.ConnectionError("Redis has forgotten its scripts.")
        if since is None or int(_checked(since)) != self._memory.since:
            await self._follow(client)
        for question, answer in zip(questions, answers, strict=True):
            question.settle(answer)

    async def _follow(self, client: redis.asyncio.Redis) -> None:
        [answer] = await _send(client, [FOLLOW.call([self._key], *self._follow_arguments(is_new=False))])
        with contextlib.suppress(OutOfMemoryError):  # which forgets nothing, and can be read
            before = self._memory
            self._take(answer)
            if self._memory.since != before.since:
                self._forgotten()

    def _follow_arguments(self, *, is_new: bool) -> tuple[Argument, ...]:
        return self._memory.beat or "", int(SILENCE * 1000), int(is_new), self._id

    def _take(self, answer: Any) -> None:
        self._memory = Memory(*map(int, _checked(answer)))
        self._crowd.add(self._memory.servers, asyncio.get_running_loop().time())


class _Crowd:
    """The most of what was counted in the last :data:`SILENCE` seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, count: int, now: float) -> None:
        # What is older and no more will never be the most again.
        while self._counts and (self._counts[-1][1] <= count):
            self._counts.pop()
        self._counts.append((now, count))
        while self._counts[0][0] < now - SILENCE:
            self._counts.popleft()

    @property
    def most(self) -> int:
        return self._counts[0][1] if self._counts else 1


class _Question:
    """A command, and who waits for the answer."""

    __slots__ = ("answer", "command")

    def __init__(self, command: Sequence[Argument]) -> None:
        self.command = command
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


async def _send(client: redis.asyncio.Redis, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """Send commands in one go, and return the answers. Errors are among them."""
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        heed_cancellation()
        return answers


def _checked(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
