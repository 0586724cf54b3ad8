"""One batch for each transaction, with what survived, in order; nothing after a rollback."""

from __future__ import annotations

import contextlib

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, transaction
from django.test import TestCase
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from django_jugpush import apublish, publish
from tests.app.models import Customer, Order

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Undo(Exception):
    """Rolls a block back."""


@contextlib.contextmanager
def rolled_back(**kwargs):
    """Do something in an atomic block, and undo it."""
    with contextlib.suppress(Undo), transaction.atomic(**kwargs):
        yield
        raise Undo


def test_without_a_transaction_a_save_is_published_at_once(broker):
    """Autocommit is a transaction of one statement."""
    order = Order.objects.create()
    assert broker.events("orders") == [("created", "app.order", order.pk)]


def test_misconfiguration_is_logged_and_fails_no_save(settings, caplog):
    """A check says so first; what is saved is saved."""
    settings.JUGPUSH = {"BROKER": "carrier-pigeon://"}
    order = Order.objects.create()
    assert Order.objects.filter(pk=order.pk).exists()
    assert "What came of 1 changes is not published" in caplog.text and "carrier-pigeon" in caplog.text


def test_nothing_leaves_before_the_commit(broker):
    """Others could not read the row yet."""
    with transaction.atomic():
        Order.objects.create()
        publish("x", 1)
        assert not broker.batches
    assert broker.events("orders") and ("x", 1) in broker.messages


def test_a_transaction_is_one_batch(broker):
    """However much happened in it."""
    with transaction.atomic():
        customer = Customer.objects.create(name="Ada")
        Order.objects.create(customer=customer)
        with transaction.atomic():
            Order.objects.create()
        publish("x", 1)
    assert len(broker.batches) == 1


def test_a_rollback_publishes_nothing(broker):
    """What did not happen is not told."""
    with rolled_back():
        Order.objects.create()
        publish("x", 1)
    assert not broker.batches


def test_after_a_rollback_comes_a_fresh_batch(broker):
    """Nothing remembers the one that was forgotten."""
    with rolled_back():
        publish("x", 1)
    with transaction.atomic():
        publish("x", 2)
    assert broker.messages == [("x", 2)]


def test_a_rolled_back_savepoint_takes_its_own_changes_only(broker):
    """Those before and after it are published."""
    with transaction.atomic():
        publish("x", "before")
        with rolled_back():
            Order.objects.create()
            publish("x", "inside")
            with transaction.atomic():
                publish("x", "deeper")
        publish("x", "after")
    assert broker.messages == [("x", "before"), ("x", "after")]


def test_the_rest_is_sent_if_the_last_savepoint_is_rolled_back(broker):
    """What sends the batch does not die with the savepoint in which it was made."""
    with transaction.atomic():
        publish("x", "before")
        with rolled_back():
            publish("x", "inside")
    assert broker.messages == [("x", "before")]


def test_a_batch_begun_in_a_rolled_back_savepoint_goes_on(broker):
    """The first change of a transaction may be the one that is undone."""
    with transaction.atomic():
        with rolled_back():
            publish("x", "inside")
        publish("x", "after")
    assert broker.messages == [("x", "after")]


def test_an_update_in_a_rolled_back_savepoint_leaves_the_creation(broker):
    """The row is published as it was committed."""
    with transaction.atomic():
        order = Order.objects.create(status="new")
        with rolled_back():
            order.status = "paid"
            order.save()
    [data] = [data for name, data in broker.messages if name == "orders"]
    assert (data["event"], data["fields"]["status"]) == ("created", "new")


def test_get_or_create_is_one_creation(broker):
    """Its savepoint and the update outside of it concern the same row."""
    with transaction.atomic():
        order, _ = Order.objects.get_or_create(status="new")
        order.status = "paid"
        order.save()
    assert broker.events("orders") == [("created", "app.order", order.pk)]


def test_get_or_create_that_gets_publishes_nothing(broker):
    """Nothing changed."""
    Order.objects.create(status="new")
    broker.batches.clear()
    Order.objects.get_or_create(status="new")
    assert not broker.batches


def test_an_integrity_error_that_is_caught_publishes_nothing(broker):
    """The usual way to try a creation."""
    order = Order.objects.create()
    broker.publications.clear()
    with transaction.atomic():
        with contextlib.suppress(IntegrityError), transaction.atomic():
            Order.objects.create(pk=order.pk)
        publish("x", 1)
    assert broker.messages == [("x", 1)]


def test_a_savepoint_made_by_hand_creates_no_phantom(broker):
    """Django runs the callbacks of such a savepoint all the same; the rows tell the truth."""
    with transaction.atomic():
        kept = Order.objects.create()
        savepoint = transaction.get_connection().savepoint()
        Order.objects.create()
        Order.objects.get(pk=kept.pk).delete()
        transaction.savepoint_rollback(savepoint)
    assert broker.events("orders") == [("created", "app.order", kept.pk)]


def test_a_deletion_undone_by_hand_is_not_published(broker):
    """The row is still there."""
    order = Order.objects.create()
    broker.publications.clear()
    with transaction.atomic():
        savepoint = transaction.get_connection().savepoint()
        Order.objects.get().delete()
        transaction.savepoint_rollback(savepoint)
    assert Order.objects.filter(pk=order.pk).exists()
    assert not broker.publications


def test_publications_keep_their_place_among_changes(broker):
    """Order is by call; a row stands where it changed last."""
    with transaction.atomic():
        first = Order.objects.create()
        publish("x", 1)
        second = Order.objects.create()
        publish("x", 2)
        first.save()
    seen = [data if name == "x" else data["pk"] for name, data in broker.messages if name in ("x", "orders")]
    assert seen == [1, second.pk, 2, first.pk]


def test_on_commit_false_is_published_now(broker):
    """Progress is worth nothing after the end."""
    with rolled_back():
        publish("x", 1, on_commit=False)
        assert broker.messages == [("x", 1)]


def test_each_database_has_its_batch(broker):
    """A commit of one says nothing about the other."""
    with transaction.atomic("other"):
        with transaction.atomic():
            Order.objects.create(pk=1)
            Order.objects.using("other").create(pk=2)
            publish("x", "waits for default")
            publish("x", "waits for other", using="other")
        assert len(broker.batches) == 1
        assert broker.events("orders") == [("created", "app.order", 1)]
    assert len(broker.batches) == 2
    assert broker.events("orders")[1:] == [("created", "app.order", 2)]


def test_another_databases_transaction_is_not_waited_for(broker):
    """Which one counts is said by ``using``."""
    with transaction.atomic("other"):
        publish("x", 1)
        assert broker.messages == [("x", 1)]


@pytest.fixture
def no_autocommit(django_db_blocker):
    """Transactions by hand, as Django's documentation calls them."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


def test_without_autocommit_everything_is_published_at_once(broker, no_autocommit):
    """Django knows no transaction then, so there is nothing to wait for."""
    order = Order.objects.create()
    publish("x", 1)
    assert broker.events("orders") == [("created", "app.order", order.pk)]
    assert broker.messages[-1] == ("x", 1)


def test_without_autocommit_a_deletion_waits_as_django_does(broker, no_autocommit):
    """Django opens a block for it, and runs callbacks when autocommit is back."""
    order = Order.objects.create()
    broker.publications.clear()
    order.delete()
    transaction.commit()
    transaction.set_autocommit(True)
    assert [event for event, *_ in broker.events("orders")] == ["deleted"]


def test_what_a_callback_publishes_follows(broker):
    """The commit is over; so it is sent at once."""
    with transaction.atomic():
        transaction.on_commit(lambda: publish("x", "callback"))
        publish("x", "batch")
    assert broker.messages == [("x", "callback"), ("x", "batch")]


def test_a_callback_that_fails_does_not_stop_the_batch(broker):
    """If it is robust, as callbacks should be."""

    def fail():
        raise RuntimeError

    with transaction.atomic():
        transaction.on_commit(fail, robust=True)
        publish("x", 1)
    assert broker.messages == [("x", 1)]


def test_async_saves_are_published(broker):
    """Their signals are sent in the thread of the ORM."""

    @async_to_sync
    async def view():
        order = await Order.objects.acreate()
        order.status = "paid"
        await order.asave()
        await order.adelete()

    view()
    assert [event for event, *_ in broker.events("orders")] == ["created", "updated", "deleted"]


def test_apublish_waits_for_the_transaction_of_the_orms_thread(broker):
    """It goes where ``asave()`` goes."""

    @sync_to_async
    def begin(block):
        block.__enter__()

    @sync_to_async
    def commit(block):
        block.__exit__(None, None, None)

    @async_to_sync
    async def view():
        block = transaction.atomic()
        await begin(block)
        await apublish("x", 1)
        assert not broker.batches
        await apublish("x", 0, on_commit=False)
        await commit(block)

    view()
    assert broker.messages == [("x", 0), ("x", 1)]


def test_publish_on_an_event_loop_is_published_at_once(broker):
    """No transaction can be seen from there, and the database may not be asked."""

    @async_to_sync
    async def view():
        publish("x", 1)

    view()
    assert broker.messages == [("x", 1)]


def test_a_batch_that_was_run_by_a_test_is_not_run_again(broker):
    """``captureOnCommitCallbacks`` runs callbacks while the transaction goes on, and may be nested."""
    with rolled_back():
        with TestCase.captureOnCommitCallbacks(execute=True):
            publish("x", 1)
            with TestCase.captureOnCommitCallbacks(execute=True):
                publish("x", 2)
            assert broker.messages == [("x", 2)]
            publish("x", 3)
        assert broker.messages == [("x", 2), ("x", 1), ("x", 3)]
    assert len(broker.publications) == 3


# Programs of nested blocks: a step is a number to publish, a save or deletion of a row, or a block with its ending.
_STEPS = st.recursive(
    st.one_of(
        st.integers(0, 99),
        st.tuples(st.sampled_from(["save", "delete"]), st.sampled_from([1, 2])),
    ),
    lambda steps: st.tuples(st.sampled_from(["commit", "roll back", "roll back by hand"]), st.lists(steps, max_size=4)),
    max_leaves=12,
)


def _run(step):
    """Do a step for real."""
    match step:
        case int():
            publish("x", step)
        case "save", pk:
            Order(pk=pk).save()
        case "delete", pk:
            Order.objects.filter(pk=pk).delete()
        case "commit", steps:
            with transaction.atomic():
                for inner in steps:
                    _run(inner)
        case "roll back", steps:
            with rolled_back():
                for inner in steps:
                    _run(inner)
        case "roll back by hand", steps:
            savepoint = transaction.get_connection().savepoint()
            for inner in steps:
                _run(inner)
            transaction.savepoint_rollback(savepoint)


def _numbers(step):
    """Return the numbers that a step publishes for good. A savepoint made by hand takes none back."""
    match step:
        case int():
            return [step]
        case (("commit" | "roll back by hand"), steps):
            return [number for inner in steps for number in _numbers(inner)]
    return []


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(existing=st.sets(st.sampled_from([1, 2])), steps=st.lists(_STEPS, max_size=6))
def test_any_program_publishes_what_came_of_it(broker, existing, steps):
    """Whoever follows the events of a row knows at the end whether it is there, and each number came once, in order."""
    Order.objects.all().delete()
    for pk in existing:
        Order.objects.create(pk=pk)
    broker.publications.clear()
    broker.batches.clear()
    _run(("commit", steps))
    known = set(existing)
    for event, _, pk in broker.events("orders"):
        assert (event == "created") is (pk not in known)
        known = known - {pk} if event == "deleted" else known | {pk}
    assert known == set(Order.objects.values_list("pk", flat=True))
    assert [data for name, data in broker.messages if name == "x"] == _numbers(("commit", steps))
    assert len(broker.batches) <= 1
