"""
How soon a right ends, and what it costs to look after.

First, each way in which a right can end is taken many times: a site with database sessions, a Redis, and two push
servers. What is measured is the time from the call that ends it, a request where it is one, to the word that a client
of each server hears. So it is more than what follows upon the commit; and everything shares one process here.

Then one push server has 10,000 sessions, without sockets: what a message costs that concerns one of them, or all, how
long it holds the event loop at most, and what the memory for it is.

Run: ``python -m benchmarks.revocation [repetitions]``, with a redis-server on the PATH.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

SESSIONS = 10_000


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    measure_latency(repetitions)
    asyncio.run(measure_cost())


# How soon


def measure_latency(repetitions: int) -> None:
    from django.test.utils import override_settings, setup_databases, setup_test_environment, teardown_databases

    from tests.redis_server import RedisServer
    from tests.security.site import PushProcess

    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    with tempfile.TemporaryDirectory() as directory:
        redis = RedisServer(Path(directory))
        redis.start()
        with override_settings(ROOT_URLCONF="tests.security.site", JUGPUSH={"BROKER": redis.url}):
            servers = [PushProcess(), PushProcess()]
            print(f"From the call to the client's word, {repetitions} times on each of two servers, in ms:")
            for name, end in rows().items():
                figures = sorted(1000 * seconds for _ in range(repetitions) for seconds in take(end, servers))
                p99 = figures[min(len(figures) - 1, round(len(figures) * 0.99))]
                print(f"  {name:32} median {figures[len(figures) // 2]:6.1f}  p99 {p99:6.1f}  max {figures[-1]:6.1f}")
            for server in servers:
                server.stop()
        redis.stop()
    teardown_databases(databases, verbosity=0)


def rows() -> dict[str, Callable[[Any, Any], Any]]:
    """Return what ends a right, given a browser and its user."""
    from django.contrib.auth.models import Group
    from django.contrib.sessions.models import Session

    import django_jugpush as push

    def save(user: Any, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(user, name, value)
        user.save()

    return {
        "logout": lambda browser, user: browser.get("/sign-out/"),
        "login over another": lambda browser, user: browser.get("/sign-in/other/"),
        "flush in a view": lambda browser, user: browser.get("/flush/"),
        "deleted session": lambda browser, user: Session.objects.all().delete(),
        "password": lambda browser, user: save(user, password="another"),
        "is_active": lambda browser, user: save(user, is_active=False),
        "group": lambda browser, user: user.groups.add(Group.objects.get_or_create(name="x")[0]),
        "deleted user": lambda browser, user: user.delete(),
        "reauthorize()": lambda browser, user: push.reauthorize(user),
        "revoke()": lambda browser, user: push.revoke(user),
        "disconnect()": lambda browser, user: push.disconnect(user),
    }


def take(end: Callable[[Any, Any], Any], servers: list[Any]) -> list[float]:
    """End a right; return after how long a client of each server heard of it."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group
    from django.contrib.sessions.models import Session

    from tests.security.site import Browser, Tab

    users: Any = get_user_model().objects
    user = users.create_user("somebody")
    users.get_or_create(username="other")
    Group.objects.get_or_create(name="x")
    browser = Browser()
    browser.get("/sign-in/somebody/")
    tabs = [Tab(server.port) for server in servers]
    for tab in tabs:
        answer = tab.subscribe("orders", browser.tokens()["orders"])
        assert answer["type"] == "subscribed", answer
    began = time.monotonic()
    end(browser, user)
    heard = [tab.wait(lambda word: word.get("type") in ("unsubscribed", "disconnect"))["at"] - began for tab in tabs]
    for tab in tabs:
        tab.close()
    Session.objects.all()._raw_delete("default")
    if user.pk:
        user.delete()
    return heard


# What it costs


async def measure_cost() -> None:
    from tests.server.rights.world import Client, World

    world = World()
    await world.push.start()
    clients = []
    for number in range(SESSIONS):
        client = await world.client()
        clients.append(client)
        await client.subscribe(token=f"{number}/L{number}")
    gc.collect()
    print(f"With {SESSIONS:,} sessions, each with a subscription of another user:")

    longest = Stalls()
    began = time.process_time()
    for number in range(1000):
        world.tell("revoke", users=("nobody",), login=f"X{number}", is_final=True)
    print(f"  a message that concerns nobody here: {(time.process_time() - began) * 1000:6.1f} µs")

    began = time.process_time()
    for number in range(1000):
        world.tell(users=(str(number),))
    print(f"  one that stops a subscription:       {(time.process_time() - began) * 1000:6.1f} µs")

    await asyncio.sleep(0.05)
    longest.clear()
    began = time.process_time()
    world.tell()
    await clients[-1].word()
    while world.rights._background:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    print(f"  one that stops all:                  {(time.process_time() - began) * 1000:6.1f} ms of CPU")
    print(f"  and the loop's longest turn in that: {longest.longest * 1000:6.1f} ms")
    longest.stop()

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(10_000):
        world.tell("revoke", users=("nobody",), login=f"Y{number}", is_final=True)
    after = tracemalloc.get_traced_memory()[0]
    print(f"  memory for an ended login:           {(after - before) / 10_000:6.0f} bytes, the stream's entry included")
    assert isinstance(clients[0], Client)
    await world.rights.stop()


class Stalls:
    """Looks how much CPU time the event loop takes between two turns of its own."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        self._handle: asyncio.Handle | None = None
        self._turn()

    def clear(self) -> None:
        self.longest, self._last = 0.0, time.thread_time()

    def stop(self) -> None:
        if self._handle:
            self._handle.cancel()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        self._handle = asyncio.get_running_loop().call_soon(self._turn)


if __name__ == "__main__":
    main()
