"""Runs targets, and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from . import sockets, values
from .mutations import Mutator

__all__ = ["TARGETS", "Broken", "Report", "fuzz"]

SHARES = {
    "commands": 25,
    "tokens": 15,
    "firehose": 15,
    "publish": 15,
    "positions": 5,
    "control": 5,
    "frames": 15,
    "http": 5,
}
"""Of a hundred inputs, how many each target gets; those behind a socket take the longest."""

TARGETS = tuple(SHARES)

MAX_GROWTH = 64 * 1024 * 1024
"""Bytes of memory that may be in use after a target more than before: much of it is the allocator's."""


class Broken(AssertionError):
    """The contract does not hold."""


@dataclass(frozen=True)
class Report:
    """What a target did with its inputs."""

    target: str
    inputs: int
    seconds: float
    longest_turn: float | None = None

    def __str__(self) -> str:
        turn = "" if self.longest_turn is None else f", longest turn {self.longest_turn * 1000:.1f} ms"
        return f"{self.target:10} {self.inputs:9,} inputs in {self.seconds:6.1f} s{turn}"


def fuzz(target: str, *, inputs: int, seed: int) -> Report:
    """
    Give a target so many inputs.

    Raises:
        Broken: If the contract does not hold; it says by which input.
    """
    started = time.monotonic()
    random = Random(f"{seed}-{target}")
    with _quiet():
        if target in values.TARGETS:
            _run_values(target, random, inputs)
            return Report(target, inputs, time.monotonic() - started)
        done, longest = _run_sockets(target, random, inputs)
    return Report(target, done, time.monotonic() - started, longest)


def _run_values(target: str, random: Random, inputs: int) -> None:
    corpus, run = values.TARGETS[target](random)
    make = Mutator(random, corpus)
    before = 0
    for number in range(inputs):
        data = make()
        started = time.thread_time()
        try:
            run(data)
        except Exception as error:
            raise Broken(f"{target}, input {number}: {error!r} by {data[:2000]!r}") from error
        if (took := time.thread_time() - started) > sockets.MAX_TURN:
            raise Broken(f"{target}, input {number}: {took * 1000:.0f} ms for {data[:2000]!r}")
        if number == inputs // 10:
            before = _memory()
    _check_memory(target, before)


def _run_sockets(target: str, random: Random, inputs: int) -> tuple[int, float]:
    maker, run = sockets.TARGETS[target]
    make = maker(random)
    with sockets.Served() as served:
        done, before = 0, 0

        async def crowd() -> None:
            nonlocal done, before
            while done < inputs:
                done += sum(await asyncio.gather(*(run(served.address, make) for _ in range(sockets.AT_ONCE))))
                served.is_warm = True
                before = before or (_memory() if done >= inputs // 10 else 0)

        try:
            asyncio.run(crowd())
        except AssertionError as error:
            raise Broken(f"{target}: {error}") from error
        deadline = time.monotonic() + sockets.PATIENCE
        while served.push.guard.connections or served.push.connections:
            if time.monotonic() > deadline:
                raise Broken(f"{target}: {served.push.guard.connections} connections are left")
            time.sleep(0.05)
        _check_memory(target, before)
        if served.longest_turn > sockets.MAX_TURN:
            raise Broken(f"{target}: one turn of the event loop took {served.longest_turn * 1000:.0f} ms")
        return done, served.longest_turn


def _check_memory(target: str, before: int) -> None:
    gc.collect()
    growth = _memory() - before
    if before and growth > MAX_GROWTH:
        raise Broken(f"{target}: {growth:,} bytes of memory were not given back")


def _memory() -> int:
    """Return the bytes that this process has in memory; 0 where that is not known."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the server writes of refusals, but for what it takes for a fault of its own."""
    faults: list[str] = []

    class Faults(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                faults.append(self.format(record))

    handler = Faults()
    loggers = [logging.getLogger(name) for name in ("django_jugpush", "uvicorn", "asyncio")]
    kept = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate, level in kept:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    if faults:
        raise Broken(f"{len(faults)} faults of the server; the first:\n{faults[0]}")
