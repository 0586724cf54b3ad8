"""Publishing from every kind of process over a real Redis, with the examples of ``docs/howto/publish.rst``."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys

import pytest

from django_jugpush.brokers.redis import RedisFeed
from tests.ports import free_port
from tests.runserver.conftest import wait_until_served
from tests.waiting import PATIENCE

from .conftest import SHELL, event, program

pytestmark = pytest.mark.processes

ON_ITS_WAY = ("banner", {"text": "Order 1 is on its way"})


def test_wsgi_view_after_a_fork(site, ear):
    """gunicorn forks after the master has published: each worker has a connection of its own."""
    port = free_port()
    server = site.start(
        ["-m", "gunicorn", "mysite.wsgi", "--preload", "--workers=3", f"--bind=127.0.0.1:{port}"],
        url=f"127.0.0.1:{port}",
    )
    wait_until_served(server)
    assert ear.next() == ("banner", {"before": "the fork"})
    for _ in range(10):
        assert server.get("/orders/1/ship/") == "shipped"
        assert [ear.next(), ear.next()] == [event("updated", 1, "shipped"), ON_ITS_WAY]


@pytest.mark.parametrize("path", ["/orders/1/async-ship/", "/orders/1/ship/"])
def test_asgi_view(site, ear, path):
    """Async with ``asave()`` and ``apublish()``, and sync in a thread of the ASGI handler."""
    port = free_port()
    server = site.start(
        ["-m", "uvicorn", "mysite.asgi:application", "--lifespan=off", f"--port={port}"], url=f"127.0.0.1:{port}"
    )
    wait_until_served(server)
    assert server.get(path) == "shipped"
    assert [ear.next(), ear.next()] == [event("updated", 1, "shipped"), ON_ITS_WAY]


def test_threads(site, ear):
    """All is heard, whatever the number of reports."""
    site.shell("from shop.reports import render_all; render_all(range(200))")
    heard = ear.rest()
    assert sorted(data["report"] for _, data in heard) == list(range(200))


def test_threads_wait_for_a_slow_redis_together(site, ear):
    """As many connections as there are threads: none is refused for want of one."""
    output = site.shell(
        program("""
        import os
        from concurrent.futures import ThreadPoolExecutor

        import redis

        import django_jugpush as push
        from django_jugpush.brokers.redis import connections

        connections.CONNECT_TIMEOUT = connections.ANSWER_TIMEOUT = 15
        redis.Redis.from_url(os.environ["PUSH_BROKER"]).client_pause(1000)
        with ThreadPoolExecutor(150) as pool:
            list(pool.map(lambda number: push.publish("banner", number), range(150)))
        """)
    )
    assert sorted(data for _, data in ear.rest()) == list(range(150)), output


def test_threads_order_of_each_is_kept(site, ear):
    """Between threads there is none."""
    site.shell(
        program("""
        from concurrent.futures import ThreadPoolExecutor
        import django_jugpush as push

        def work(thread):
            for number in range(50):
                push.publish("banner", [thread, number])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        """)
    )
    heard = [data for _, data in ear.rest()]
    for thread in range(8):
        assert [number for of, number in heard if of == thread] == list(range(50))


def test_context_takes_suppression_to_a_thread(site, ear):
    """A thread does not inherit it, as the page says."""
    site.shell(
        program("""
        import contextvars
        from concurrent.futures import ThreadPoolExecutor
        import django_jugpush as push
        from shop.reports import render

        with push.suppress_publishing(), ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, render, 1).result()
            pool.submit(render, 2).result()
        """)
    )
    assert ear.rest() == [("banner", {"report": 2})]


def test_forked_children(site, ear):
    """Parent and children publish, each over its own connection, before and after the fork."""
    output = site.shell(
        program("""
        import django_jugpush as push
        from shop.thumbnails import shrink_all

        push.publish("banner", "before")
        shrink_all(range(40))
        push.publish("banner", "after")
        """)
    )
    heard = [data for _, data in ear.rest()]
    assert (heard[0], heard[-1]) == ("before", "after"), output
    assert sorted(data["picture"] for data in heard[1:-1]) == list(range(40))


def test_fork_while_other_threads_publish(site, ear):
    """A lock that was held when the process forked does not hold its child for ever."""
    output = site.shell(
        program("""
        import os
        import threading
        import django_jugpush as push

        push.publish("banner", "first")  # imports redis: a fork in the middle of an import is beyond repair
        over = threading.Event()

        def chatter():
            while not over.is_set():
                push.publish("banner", "chatter")

        threads = [threading.Thread(target=chatter) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(20):
            if (child := os.fork()) == 0:
                push.publish("orders", number)
                os._exit(0)
            os.waitpid(child, 0)
        over.set()
        for thread in threads:
            thread.join()
        """),
        PYTHONWARNINGS="ignore",
    )
    assert [data for channel, data in ear.rest() if channel == "orders"] == list(range(20)), output


def test_shell(site, ear):
    """With the page's own command line."""
    prompt, manage, *rest = shlex.split(SHELL)
    assert (prompt, manage) == ("python", "manage.py")
    site.manage(*rest)
    assert ear.rest() == [("banner", {"text": "Back at 18:00"})]


def test_command_from_cron(site, redis_server, ear):
    """With next to nothing in the environment. Everything is in Redis when the command has ended."""
    subprocess.run(
        [sys.executable, "manage.py", "close_day"],
        cwd=site.directory,
        env={"PATH": "/usr/bin:/bin", "PUSH_BROKER": redis_server.url},
        check=True,
        timeout=PATIENCE,
    )
    assert ear.rest() == [event("updated", 1, "closed"), ("banner", {"text": "Closed until tomorrow"})]


def test_plain_script(site, ear):
    """``django.setup()`` is all that it needs."""
    site.manage("migrate", "shop", "0001", "--verbosity=0")
    subprocess.run(
        [sys.executable, "announce.py"], cwd=site.directory, env=site.environment, check=True, timeout=PATIENCE
    )
    assert ear.rest() == [event("created", 2, "by script"), ("banner", {"text": "There is order 2"})]


def test_data_migration(site, ear):
    """It publishes what it says on purpose; historical models and suppressed code publish nothing."""
    site.shell("from shop.models import Order; Order.objects.create(status='sent')", PUSH_BROKER="dummy://")
    site.manage("migrate", "--verbosity=0")
    assert ear.rest() == [("orders", {"renamed": "status"})]
    states = site.shell("from shop.models import Order; print([order.status for order in Order.objects.all()])")
    assert "['new', 'shipped', 'tidied']" in states


def test_migration_that_fails_publishes_nothing(site, ear):
    """Its transaction is rolled back."""
    file = site.directory / "shop/migrations/0002_rename_status.py"
    file.write_text(file.read_text().replace('"status"})', '"status"})\n    raise SystemExit("broken")'))
    with pytest.raises(AssertionError, match="broken"):
        site.manage("migrate", "--verbosity=0")
    assert ear.rest() == []


def test_suite_of_the_site_publishes_nowhere(make_site, redis_server, ear):
    """The page's own tests, under Django's runner."""
    site = make_site()
    assert "OK" in site.manage("test", "shop")
    assert ear.rest() == []


def test_push_server_hears_it(site, redis_server):
    """What the ear hears is what the server's feed understands."""

    async def scenario():
        heard = asyncio.Queue()
        feed = RedisFeed(redis_server.url, namespace="jugpush")
        await feed.start(lambda publications: [heard.put_nowait(each) for each in publications])
        try:
            feed.listen(["jugpush:orders"])
            async with asyncio.timeout(PATIENCE):
                await feed.ready("jugpush:orders")
                await asyncio.to_thread(site.shell, "from shop.models import Order; Order.objects.get().save()")
                return await heard.get()
        finally:
            await feed.stop()

    publication = asyncio.run(scenario())
    assert publication.channel == "orders" and publication.version


def test_coroutines_publish_at_once_and_together(site, ear):
    """A thousand ``apublish()`` of one loop share a thread, and arrive in their order."""
    site.shell(
        program("""
        import asyncio
        import django_jugpush as push

        async def main():
            push.publish("banner", -1)
            await asyncio.gather(*(push.apublish("banner", number) for number in range(1000)))

        asyncio.run(main())
        asyncio.run(push.apublish("banner", 1000))
        """)
    )
    assert [data for _, data in ear.rest()] == list(range(-1, 1001))


def test_frozen_redis_holds_an_event_loop_for_a_second_at_most(site, tmp_path_factory):
    """Once; for the next five seconds it holds it for no time at all, and ``apublish()`` never does."""
    from tests.redis_server import running_redis

    with running_redis(tmp_path_factory.mktemp("frozen")) as frozen:
        frozen.freeze()
        output = site.shell(
            program("""
            import asyncio, time
            import django_jugpush as push
            from django_jugpush.publishing import delivery

            async def longest_pause(publishing):
                longest, last, task = 0.0, time.monotonic(), asyncio.ensure_future(publishing)
                while not task.done():
                    await asyncio.sleep(0.01)
                    longest, last = max(longest, time.monotonic() - last), time.monotonic()
                return longest

            async def publish():
                push.publish("banner", 1)

            async def main():
                by_coroutine = await longest_pause(push.apublish("banner", 1))
                delivery._make_delivery.cache_clear()  # forgets that it was away
                first = await longest_pause(publish())
                second = await longest_pause(publish())
                print("PAUSES", by_coroutine, first, second)

            asyncio.run(main())
            """),
            PUSH_BROKER=frozen.url,
        )
    [line] = [line for line in output.splitlines() if line.startswith("PAUSES")]
    by_coroutine, first, second = map(float, line.split()[1:])
    assert 0.5 < first < 1.5
    assert by_coroutine < 0.4 and second < 0.4
    assert output.count("Publishing fails from here on") == 2  # once for each of the two deliveries
