"""Push servers, a Redis or none, clients and a publisher; and what happens to them, at random from a seed."""

from __future__ import annotations

import contextlib
import enum
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django_jugpush.brokers.redis import RedisBroker
from tests.e2e.site import wait_until
from tests.redis_server import RedisServer

from .channels import CHANNELS, kind_of
from .checker import STALE, Faults, check, check_pace
from .clients import Swarm
from .publisher import Publisher
from .server import Server

__all__ = ["Memory", "Outcome", "run"]

KEEPS = ("--appendonly", "yes", "--appendfsync", "always")
"""A Redis that loses nothing of what it has acknowledged."""


class Memory(enum.Enum):
    """Where publications are kept."""

    KEPT = "Redis keeps its data"
    LOST = "Redis loses its data"
    LOCAL = "no Redis"


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    faults: Faults
    events: list[str] = field(default_factory=list)
    published: int = 0
    received: int = 0
    told: int = 0
    """How often a client was told of a gap."""


class World:
    """All of it, and what can happen."""

    def __init__(self, directory: Path, *, seed: int, size: int, rate: float, memory: Memory) -> None:
        self.chance = random.Random(seed)
        self.memory = memory
        self.log = directory / "server.log"
        self.redis = RedisServer(directory, *KEEPS)
        if memory is Memory.LOCAL:
            self.servers = [Server(None, self.log)]
            broker = self.servers[0].make_broker()
        else:
            self.redis.start()
            self.servers = [Server(self.redis.url, self.log) for _ in range(2)]
            broker = RedisBroker(self.redis.url)
        ids = [f"client{number:010}" for number in range(size)]
        self.publisher = Publisher(broker, rate=rate, clients=ids)
        urls = [server.url for server in self.servers]
        self.swarm = Swarm(ids, urls, self.publisher, channels=CHANNELS, each=4, seed=seed)

    def happenings(self) -> list[Callable[[], str]]:
        always = [self.cut_clients, self.cut_clients, self.stall_clients, self.load_pages]
        servers = [self.kill_server, self.restart_server]
        redis = [] if self.memory is Memory.LOCAL else [self.freeze_redis, self.restart_redis]
        return [*always, *servers, *redis, *([self.lose_redis] if self.memory is Memory.LOST else [])]

    def some(self) -> list:
        return self.chance.sample(self.swarm.clients, len(self.swarm.clients) // self.chance.randint(2, 6))

    def cut_clients(self) -> str:
        clients = self.some()
        self.swarm.cut(clients)
        return f"{len(clients)} clients are cut"

    def stall_clients(self) -> str:
        clients = self.some()
        self.swarm.stall(clients, self.chance.uniform(0.5, 2))
        return f"{len(clients)} clients read nothing for a while"

    def load_pages(self) -> str:
        clients, with_moment = self.some(), self.chance.choice([True, False])
        self.swarm.load(clients, with_moment=with_moment)
        return f"{len(clients)} clients load their pages again{', as rendered just then' if with_moment else ''}"

    def kill_server(self) -> str:
        server = self.chance.choice(self.servers)
        server.stop(signal.SIGKILL)
        self._server_stopped()
        time.sleep(self.chance.uniform(0, 1))
        server.start()
        return "a push server is killed and started again"

    def restart_server(self) -> str:
        server = self.chance.choice(self.servers)
        server.stop()
        self._server_stopped()
        server.start()
        return "a push server is restarted in good order"

    def _server_stopped(self) -> None:
        if self.memory is Memory.LOCAL:
            self.publisher.forget()

    def freeze_redis(self) -> str:
        self.redis.freeze()
        time.sleep(self.chance.uniform(0.1, 2))
        self.redis.thaw()
        return "Redis stalls"

    def restart_redis(self) -> str:
        self.redis.stop(self.chance.choice([signal.SIGTERM, signal.SIGKILL]))
        time.sleep(self.chance.uniform(0, 1))
        self.redis.start()
        return "Redis is restarted with its data"

    def lose_redis(self) -> str:
        self.redis.kill()
        shutil.rmtree(self.redis.directory / "appendonlydir", ignore_errors=True)
        self.publisher.forget()
        self.redis.start()
        return "Redis is restarted without its data"

    def settle(self) -> None:
        """Let everybody get everything, as far as it is there."""
        for channel in CHANNELS:
            self.publisher.publish_until_taken(channel)
        wait_until(lambda: self.swarm.is_complete, what=lambda: "all clients to be back")
        wait_until(lambda: not self._wanting(), what=lambda: f"what is missing: {self._wanting()[:5]}")

    def _wanting(self) -> list[str]:
        """Return who has not got the last publication of a channel, nor was told that there is a gap at the end."""
        return [
            f"{client.id} at {page.position} of {channel} has {page.record[-5:]}, not {max(page.past.certain)}"
            for client, channel, page, is_over in self.swarm.pages
            if not is_over
            and page.after < max(page.past.certain)
            and page.numbers[-1:] not in ([max(page.past.certain)], [STALE])
        ]

    def check(self) -> Faults:
        faults = Faults()
        for client, channel, page, is_over in self.swarm.pages:
            kind, who = kind_of(channel), f"{client.id} of {channel}"
            certain, uncertain, excluded = page.past.of(client.id)
            faults.add(
                check(
                    page.record,
                    certain=certain,
                    uncertain=uncertain,
                    excluded=excluded,
                    after=page.after,
                    is_over=is_over,
                    is_paced=kind.max_rate is not None,
                    history=kind.history[0],
                    losses=page.past.losses,
                    who=who,
                )
            )
            if kind.max_rate:
                for times in page.times:
                    faults.add(check_pace(times, kind.max_rate, who=who))
        return faults

    def close(self) -> None:
        self.swarm.stop()
        self.publisher.close()
        for server in self.servers:
            server.stop(signal.SIGKILL)
        self.redis.kill()


@contextlib.contextmanager
def _world(directory: Path, **options) -> Iterator[World]:
    world = World(directory, **options)
    try:
        yield world
    finally:
        world.close()


def run(
    directory: Path,
    *,
    seconds: float,
    seed: int,
    size: int,
    rate: float,
    memory: Memory,
    pause: tuple[float, float] = (0.3, 2.0),
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """
    Let things happen for so many seconds, then calm down and say what is wrong.

    Args:
        directory: For Redis's files and the servers' log.
        seconds: How long.
        seed: Chooses what happens, when and to whom.
        size: How many clients.
        rate: Publications a second.
        memory: Where publications are kept. Where they are not lost, nobody may be told of a gap who missed no more
            than the channel's history has.
        pause: Between two happenings, in seconds: least and most.
        say: Is told what happens.
    """
    with _world(directory, seed=seed, size=size, rate=rate, memory=memory) as world:
        world.swarm.start()
        wait_until(lambda: world.swarm.is_complete, what=lambda: "all clients to be there")
        world.publisher.start()
        events = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(world.chance.uniform(*pause))
            events.append(world.chance.choice(world.happenings())())
            say(f"{seconds - max(0, end - time.monotonic()):6.1f} s  {events[-1]}")
        world.publisher.stop()
        world.settle()
        records = [page.record for _, _, page, _ in world.swarm.pages]
        return Outcome(
            faults=world.check(),
            events=events,
            published=sum(len(past.certain) for past in world.publisher.pasts.values()),
            received=sum(isinstance(entry, int) for record in records for entry in record),
            told=sum(entry == STALE for record in records for entry in record),
        )
