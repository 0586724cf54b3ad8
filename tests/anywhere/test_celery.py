"""Publishing from Celery: a real worker with its prefork pool, and eager tasks."""

from __future__ import annotations

import pytest

from .conftest import event, program

pytestmark = pytest.mark.processes


@pytest.fixture
def worker(make_site, redis_server, ear):
    """A site whose worker runs. Its parent has published, so that there is a connection that might be shared."""
    broker = redis_server.url.replace("/0", "/1")
    site = make_site(PUSH_BROKER=redis_server.url, SITE_CELERY=broker)
    with (site.directory / "mysite" / "celery.py").open("a") as file:
        file.write(
            program("""

            from celery.signals import worker_init


            @worker_init.connect
            def publish_before_the_fork(**kwargs):
                import django_jugpush as push

                push.publish("banner", "before the fork")
            """)
        )
    server = site.start(
        ["-m", "celery", "--app=mysite", "worker", "--pool=prefork", "--concurrency=3", "--loglevel=info"], url=""
    )
    server.wait_for(r"celery@\S+ ready")
    assert ear.next() == ("banner", "before the fork")
    return site


def packed(pk):
    return [("banner", {"text": f"Packing order {pk}"}), event("updated", pk, "packed")]


def test_task_publishes_from_every_process_of_the_pool(worker, ear):
    """A message and a saved row from each of twenty tasks, in the order of each."""
    worker.shell(
        program("""
        from shop.models import Order
        from shop.tasks import pack
        for _ in range(20):
            pack.delay(Order.objects.create().pk)
        """)
    )
    heard = [ear.next() for _ in range(60)]
    for pk in range(2, 22):
        of_this = [each for each in heard if each in packed(pk)]
        assert of_this == packed(pk)
    worker.servers[0].wait_for(r"ForkPoolWorker-\d+\] Task shop.tasks.pack\[\S+ succeeded", times=20)


def test_delay_on_commit_starts_after_the_row_is_published(worker, ear):
    """The page's example: the task finds the row, and nothing is told twice."""
    worker.shell("from shop.checkout import check_out; check_out()")
    heard = [ear.next() for _ in range(3)]
    assert sorted(map(str, heard)) == sorted(map(str, [event("created", 2, "paid"), *packed(2)]))
    assert ear.rest() == []


def test_delay_in_a_transaction_publishes_in_spite_of_a_rollback(worker, ear):
    """As the page warns: the worker knows nothing of the transaction, and does not find the row."""
    worker.shell(
        program("""
        from django.db import transaction
        from shop.models import Order
        from shop.tasks import pack

        with transaction.atomic():
            Order.objects.create(pk=99)
            pack.delay(99)
            transaction.set_rollback(True)
        """)
    )
    assert ear.next() == packed(99)[0]
    server = worker.servers[0]
    server.wait_for("raised unexpected: DoesNotExist")
    server.output = server.output.replace("Traceback", "as expected")
    assert ear.rest() == []


def test_rollback_forgets_delay_on_commit(worker, ear):
    """Neither the row nor the task has happened."""
    worker.shell(
        program("""
        from django.db import transaction
        from shop.checkout import check_out
        from shop.tasks import pack

        with transaction.atomic():
            check_out()
            transaction.set_rollback(True)
        pack.delay(1)
        """)
    )
    assert [ear.next(), ear.next()] == packed(1)
    assert ear.rest() == []


def test_eager_task_waits_for_the_commit_of_its_caller(site, ear):
    """It runs in the caller's transaction; all of it leaves together, the row as it is at the end."""
    site.shell(
        program("""
        from django.db import transaction
        import django_jugpush as push
        from shop.models import Order
        from shop.tasks import pack

        with transaction.atomic():
            pack.delay(Order.objects.create().pk)
            push.publish("banner", "before the commit", on_commit=False)
        with transaction.atomic():
            pack.delay(1)
            transaction.set_rollback(True)
        """)
    )
    assert ear.rest() == [
        ("banner", "before the commit"),
        ("banner", {"text": "Packing order 2"}),
        event("created", 2, "packed"),
    ]


def test_eager_delay_on_commit_follows_the_batch(site, ear):
    """The creation comes first, then what the task does of its own."""
    site.shell("from shop.checkout import check_out; check_out()")
    heard = ear.rest()
    assert heard[-2:] == packed(2)
