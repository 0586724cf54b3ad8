"""Transactions that run side by side. ``test_postgresql.py`` runs this module; SQLite has one writer at a time."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction

from django_jugpush import publish
from django_jugpush.publishing.delivery import use_broker
from tests.app.models import Customer, Order
from tests.publishing.conftest import Recorder

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

PATIENCE = 20.0


@pytest.fixture
def another():
    """Run a function in another thread, so on another connection."""
    with ThreadPoolExecutor(8) as pool:

        def run(function, *arguments):
            return pool.submit(_with_own_connection, function, *arguments)

        yield run


def _with_own_connection(function, *arguments):
    try:
        return function(*arguments)
    finally:
        connection.close()


def orders_of(broker):
    """Return (version, pk, status) of what was published about orders, as it went out."""
    return [
        (publication.version, data["pk"], data["fields"]["status"])
        for publication, (channel, data) in zip(broker.publications, broker.messages, strict=True)
        if channel == "orders"
    ]


def shown(broker):
    """Return the status of each order as a page shows it, which drops the lower version of two."""
    pages = {}
    for version, pk, status in orders_of(broker):
        if pk not in pages or version >= pages[pk][0]:
            pages[pk] = version, status
    return {pk: status for pk, (_, status) in pages.items()}


def test_commit_and_not_the_save_decides_the_order(broker, another):
    """Whoever saves first and commits last is published last."""
    saved, committed = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            Order.objects.create(pk=1)
            publish("x", "slow")
            saved.set()
            assert committed.wait(PATIENCE)

    running = another(slow)
    assert saved.wait(PATIENCE)
    with transaction.atomic():
        Order.objects.create(pk=2)
        publish("x", "fast")
    assert [pk for _, pk, _ in orders_of(broker)] == [2]
    committed.set()
    running.result(PATIENCE)
    assert [pk for _, pk, _ in orders_of(broker)] == [2, 1]
    assert [data for channel, data in broker.messages if channel == "x"] == ["fast", "slow"]
    assert len(broker.batches) == 2


def test_change_between_commit_and_reading_is_told_by_both(broker, another):
    """The first reads after the second has committed: it says what is true then, with the higher version."""
    order = Order.objects.create()
    broker.publications.clear()

    def pay():
        Order.objects.get(pk=order.pk)
        Order(pk=order.pk, status="paid").save()

    with transaction.atomic():
        transaction.on_commit(lambda: another(pay).result(PATIENCE))
        order.status = "packed"
        order.save()
    assert [status for _, _, status in orders_of(broker)] == ["paid", "paid"]
    assert shown(broker) == {order.pk: "paid"}


def test_newest_version_wins_if_publications_overtake(another):
    """The first has read and is held up on its way; pages that get it last drop it."""
    held, go_on = threading.Event(), threading.Event()

    class Held(Recorder):
        def publish(self, publications):
            if b"packed" in b"".join(bytes(publication.data) for publication in publications):
                held.set()
                assert go_on.wait(PATIENCE)
            super().publish(publications)

    def pack():
        Order(pk=order.pk, status="packed").save()

    broker = Held()
    with use_broker(broker):
        order = Order.objects.create()
        packing = another(pack)
        assert held.wait(PATIENCE)
        Order(pk=order.pk, status="paid").save()
        go_on.set()
        packing.result(PATIENCE)
    assert [status for _, _, status in orders_of(broker)] == ["new", "paid", "packed"]
    assert shown(broker) == {order.pk: Order.objects.get().status} == {order.pk: "paid"}


def test_pages_end_with_what_the_table_holds(broker, another):
    """However many processes save the same rows in transactions of several."""
    Order.objects.bulk_create([Order(pk=pk) for pk in (1, 2)])

    def work(worker):
        for number in range(15):
            with transaction.atomic():
                for order in Order.objects.select_for_update().order_by("pk"):
                    order.status = f"{worker}.{number}"
                    order.save()

    for working in [another(work, worker) for worker in range(4)]:
        working.result(60)
    assert shown(broker) == dict(Order.objects.values_list("pk", "status"))
    assert len(broker.batches) == 60


def test_transaction_that_cannot_be_serialized_is_published_when_it_succeeds(broker, another):
    """The attempt that the database refuses leaves nothing; its repetition is published once."""
    both_have_read = threading.Barrier(2, timeout=PATIENCE)
    attempts = []

    def number_order(name):
        for attempt in range(5):
            attempts.append(name)
            with contextlib.suppress(OperationalError), transaction.atomic():
                connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                count = Order.objects.count()
                if attempt == 0:
                    both_have_read.wait()
                Order.objects.create(status=f"number {count}")
                with transaction.atomic():
                    publish("x", name)
                return

    other = another(number_order, "b")
    number_order("a")
    other.result(PATIENCE)
    assert sorted(attempts) in (["a", "a", "b"], ["a", "b", "b"])
    assert sorted(status for _, _, status in orders_of(broker)) == ["number 0", "number 1"]
    assert sorted(data for channel, data in broker.messages if channel == "x") == ["a", "b"]
    assert len(broker.batches) == 2


def test_commit_that_fails_publishes_nothing(broker):
    """PostgreSQL looks at foreign keys when it commits."""
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.create(customer_id=4711)
        publish("x", 1)
    publish("x", 2)
    assert broker.messages == [("x", 2)]


def test_savepoint_whose_constraints_fail_early_publishes_nothing(broker):
    """And the transaction around it goes on."""
    with transaction.atomic():
        with contextlib.suppress(IntegrityError), transaction.atomic():
            Order.objects.create(customer_id=4711)
            publish("x", "inside")
            connection.check_constraints()
        publish("x", "after")
        customer = Customer.objects.create(name="Ada")
        Order.objects.create(pk=1, customer=customer)
    assert [data for channel, data in broker.messages if channel == "x"] == ["after"]
    assert broker.events("orders") == [("created", "app.order", 1)]
    assert len(broker.batches) == 1


def test_error_that_is_swallowed_publishes_nothing(broker):
    """PostgreSQL aborts the transaction; that its end raises nothing does not make it happen."""
    with contextlib.suppress(DatabaseError), transaction.atomic():
        publish("x", "before")
        with contextlib.suppress(DatabaseError):
            connection.cursor().execute("SELECT nonsense")
        Order.objects.count()
    assert not broker.batches


def test_error_that_is_swallowed_to_the_end_publishes_no_row(broker):
    """PostgreSQL answers the COMMIT of an aborted transaction with a rollback, which Django takes for a commit."""
    with transaction.atomic():
        Order.objects.create()
        publish("x", "not a row")
        with contextlib.suppress(DatabaseError):
            connection.cursor().execute("SELECT nonsense")
    assert not Order.objects.exists()
    assert broker.messages == [("x", "not a row")]


def test_connection_that_is_lost_publishes_nothing(broker, another):
    """What the server has forgotten, nobody is told; the next transaction begins afresh."""

    def terminate(pid):
        connection.cursor().execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    with pytest.raises((OperationalError, InterfaceError)), transaction.atomic():
        Order.objects.create()
        publish("x", "lost")
        another(terminate, connection.connection.info.backend_pid).result(PATIENCE)
        Order.objects.create()
    with transaction.atomic():
        publish("x", "next")
    assert broker.messages == [("x", "next")]
