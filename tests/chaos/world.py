"""Two push servers, one Redis, clients and a publisher; and what happens to them, at random from a seed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from django_jugpush.brokers.redis import RedisBroker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError
from tests.e2e.site import ROOT, free_port, wait_until
from tests.redis_server import RedisServer

from .checker import STALE, Faults, check
from .clients import Swarm

__all__ = ["Outcome", "run"]

CHANNELS = [f"chaos:{number}" for number in range(20)]
KEEPS = ("--appendonly", "yes", "--appendfsync", "always")
"""A Redis that loses nothing of what it has acknowledged."""


class Server:
    """One ``manage.py juggernaut``, always on the same port."""

    def __init__(self, broker: str, log: Path) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/juggernaut/websocket?protocol=1"
        self._broker = broker
        self._log = log
        self.start()

    def start(self) -> None:
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings", "CHAOS_BROKER": self._broker}
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "django", "juggernaut", "--port", str(self.port), "--drain-timeout", "2"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


class Publisher:
    """Numbers the publications of each channel. What got no answer may have been published or not."""

    def __init__(self, url: str, *, rate: float) -> None:
        self.certain: dict[str, set[int]] = {channel: set() for channel in CHANNELS}
        self.uncertain: dict[str, set[int]] = {channel: set() for channel in CHANNELS}
        self._broker = RedisBroker(url)
        self._numbers = dict.fromkeys(CHANNELS, 0)
        self._pause = 1 / rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish_for_ever)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(20)

    def close(self) -> None:
        self._broker.close()

    def publish(self, channel: str) -> bool:
        """Publish the next number; return whether it was taken for certain."""
        self._numbers[channel] += 1
        number = self._numbers[channel]
        publication = Publication(
            id=f"{channel}-{number}",
            channel=channel,
            namespace="chaos",
            data=msgspec.Raw(b"%d" % number),
            history=(50_000, 3600),  # it outlasts what happens
        )
        try:
            self._broker.publish([publication])
        except BrokerError:
            self.uncertain[channel].add(number)
            return False
        self.certain[channel].add(number)
        return True

    def publish_until_taken(self, channel: str) -> None:
        wait_until(lambda: self.publish(channel), what=lambda: f"{channel} to take a publication")

    def _publish_for_ever(self) -> None:
        chance = random.Random(0)
        while not self._stopping.wait(self._pause):
            self.publish(chance.choice(CHANNELS))


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

    def __init__(self, directory: Path, *, seed: int, size: int, rate: float, keeps_data: bool) -> None:
        self.chance = random.Random(seed)
        self.keeps_data = keeps_data
        self.losses = 0
        self.redis = RedisServer(directory, *KEEPS)
        self.redis.start()
        self.log = directory / "server.log"
        self.servers = [Server(self.redis.url, self.log) for _ in range(2)]
        self.publisher = Publisher(self.redis.url, rate=rate)
        self.swarm = Swarm([server.url for server in self.servers], size=size, channels=CHANNELS, each=4, seed=seed)

    def happenings(self) -> list[Callable[[], str]]:
        always = [self.cut_clients, self.cut_clients, self.stall_clients, self.kill_server, self.restart_server]
        return [*always, self.freeze_redis, self.restart_redis, *([] if self.keeps_data else [self.lose_redis])]

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

    def kill_server(self) -> str:
        server = self.chance.choice(self.servers)
        server.stop(signal.SIGKILL)
        time.sleep(self.chance.uniform(0, 1))
        server.start()
        return "a push server is killed and started again"

    def restart_server(self) -> str:
        server = self.chance.choice(self.servers)
        server.stop()
        server.start()
        return "a push server is restarted in good order"

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
        self.losses += 1
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
        last = {channel: max(numbers) for channel, numbers in self.publisher.certain.items()}
        return [
            f"client {number} at {client.positions.get(channel)} of {channel} has {record[-5:]}, not {last[channel]}"
            for number, client in enumerate(self.swarm.clients)
            for channel, record in client.records.items()
            if record[-1:] not in ([last[channel]], [STALE])
        ]

    def check(self) -> Faults:
        faults = Faults()
        for number, client in enumerate(self.swarm.clients):
            for channel, record in client.records.items():
                faults.add(
                    check(
                        record,
                        certain=self.publisher.certain[channel],
                        uncertain=self.publisher.uncertain[channel],
                        losses=self.losses,
                        who=f"client {number} of {channel}",
                    )
                )
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
    keeps_data: bool,
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
        keeps_data: Whether Redis keeps its data whenever it is restarted: then nobody may be told of a gap.
        pause: Between two happenings, in seconds: least and most.
        say: Is told what happens.
    """
    with _world(directory, seed=seed, size=size, rate=rate, keeps_data=keeps_data) as world:
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
        records = [record for client in world.swarm.clients for record in client.records.values()]
        return Outcome(
            faults=world.check(),
            events=events,
            published=sum(map(len, world.publisher.certain.values())),
            received=sum(isinstance(entry, int) for record in records for entry in record),
            told=sum(isinstance(entry, str) for record in records for entry in record),
        )
