"""One system under the load: start it, have its clients cut off and brought back, and count."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .processes import Process, running_redis
from .systems import CLIENTS, NODE, System

QUIET = 120
"""Seconds that may pass until the last publication has come, or none comes any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What each system goes through."""

    clients: int
    seconds: int
    rate: float
    away: float
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.clients:,} clients, {self.rate:g} publications a second for {self.seconds} s, "
            f"each client cut off once for {self.away:g} s"
        )

    @property
    def count(self) -> int:
        """How many publications there are."""
        return round(self.seconds * self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of it."""

    delivered: float
    """The share of all publications that all clients should have, and have."""

    incomplete: int
    """Clients that lack any."""

    duplicates: int
    disordered: int
    """Deliveries that came again, and those that came after a later one."""

    returns: int
    recovered: int
    """How often a client came back, and how often it was told that it has all that it missed."""

    p50: int
    p99: int
    """Milliseconds from the publication to the delivery, to clients that were there at the time."""

    server_cpu: float
    redis_cpu: float
    """Microseconds of CPU for a delivery, in user and system mode."""


def run(system: System, load: Load) -> Figures:
    """Start everything, publish, and stop everything."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        redis = enter(running_redis(Path(enter(tempfile.TemporaryDirectory()))))
        system.choose_ports(redis.port)
        server = enter(system.server())
        server.wait_for_port(system.port)
        crowd = enter(
            Process(
                [NODE, CLIENTS / "crowd.mjs", system.client, system.url, json.dumps(_orders(load))],
                env=system.client_env,
            )
        )
        crowd.expect("ready")
        publisher = enter(system.publisher(load.count, load.rate))
        publisher.expect("ready")
        before = server.cpu(), redis.cpu()
        crowd.say("go")
        publisher.say("go")
        publisher.expect("done", seconds=load.seconds + 60)
        crowd.say("finish")
        counted = json.loads(crowd.read_line(seconds=QUIET + 30))
        after = server.cpu(), redis.cpu()
    return _figures(counted, load, server_seconds=after[0] - before[0], redis_seconds=after[1] - before[1])


def _orders(load: Load) -> dict[str, float]:
    return {
        "clients": load.clients,
        "publications": load.count,
        "seconds": load.seconds,
        "away": load.away,
        "seed": load.seed,
        "quiet": QUIET,
    }


def _figures(counted: dict[str, int], load: Load, *, server_seconds: float, redis_seconds: float) -> Figures:
    delivered = counted.pop("delivered")
    return Figures(
        delivered=delivered / (load.clients * load.count),
        server_cpu=server_seconds / delivered * 1e6,
        redis_cpu=redis_seconds / delivered * 1e6,
        **counted,
    )
