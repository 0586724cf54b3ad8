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
"""Seconds after the last publication in which what is under way must come; less if all is there, or nothing comes."""


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
    """The share that has arrived of all that should: each publication at each client."""

    lost: int
    """How many did not."""

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
    clients_cpu: float
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
        measured = {"server_cpu": server, "redis_cpu": redis, "clients_cpu": crowd}
        before = {name: process.cpu() for name, process in measured.items()}
        crowd.say("go")
        publisher.say("go")
        publisher.expect("done", seconds=load.seconds + 60)
        crowd.say("finish")
        counted = json.loads(crowd.read_line(seconds=QUIET + 30))
        seconds = {name: process.cpu() - before[name] for name, process in measured.items()}
    return _figures(counted, seconds, load)


def _orders(load: Load) -> dict[str, float]:
    return {
        "clients": load.clients,
        "publications": load.count,
        "seconds": load.seconds,
        "away": load.away,
        "seed": load.seed,
        "quiet": QUIET,
    }


def _figures(counted: dict[str, int], seconds: dict[str, float], load: Load) -> Figures:
    delivered = counted.pop("delivered")
    costs = {name: value / delivered * 1e6 for name, value in seconds.items()}
    expected = load.clients * load.count
    return Figures(delivered=delivered / expected, lost=expected - delivered, **counted, **costs)
