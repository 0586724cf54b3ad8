"""``suppress_publishing`` as a context manager and as a decorator."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from django_jugpush import apublish, publish, publish_changes, suppress_publishing
from tests.app.models import Customer, Order, UrgentOrder

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_is_published_meanwhile(broker):
    """Neither changes nor what is published by hand."""
    with suppress_publishing():
        order = Order.objects.create()
        publish("x", 1)
        publish("x", 1, on_commit=False)
        publish_changes(Order.objects.all())
        order.delete()
    assert not broker.batches
    publish("x", 2)
    assert broker.messages == [("x", 2)]


def test_what_counts_is_where_it_is_saved(broker):
    """And not where the transaction commits."""
    with transaction.atomic():
        with suppress_publishing():
            Order.objects.create()
        publish("x", 1)
    with suppress_publishing():
        assert publish("x", 2)
    assert broker.messages == [("x", 1)]


def test_with_models_only_their_changes_are_left_out(broker):
    """A proxy stands for its concrete model."""
    with suppress_publishing(UrgentOrder):
        Order.objects.create()
        Customer.objects.create(name="Ada")
        publish("x", 1)
    assert [model for _, model, _ in broker.events()] == ["app.customer"]
    assert ("x", 1) in broker.messages


def test_blocks_may_be_nested(broker):
    """The end of the inner one does not end the outer."""
    suppress = suppress_publishing()
    with suppress:
        with suppress, suppress_publishing(Order):
            publish("x", 1)
        publish("x", 2)
    publish("x", 3)
    assert broker.messages == [("x", 3)]


def test_an_error_ends_the_block(broker):
    """As any ``with`` does."""
    with pytest.raises(ZeroDivisionError), suppress_publishing():
        1 / 0  # noqa: B018
    publish("x", 1)
    assert broker.messages == [("x", 1)]


def test_a_decorated_function_publishes_nothing(broker):
    """In each call, also when it calls itself."""

    @suppress_publishing()
    def load(depth):
        """Load."""
        publish("x", depth)
        return load(depth - 1) if depth else "loaded"

    assert load(2) == "loaded" and load.__doc__ == "Load."
    assert not broker.batches


def test_a_decorated_coroutine_function_publishes_nothing(broker):
    """While it runs, and not just while it is called."""

    @suppress_publishing(Order)
    async def load():
        await asyncio.sleep(0)
        await Order.objects.acreate()
        await apublish("x", 1)
        return "loaded"

    assert async_to_sync(load)() == "loaded"
    assert broker.messages == [("x", 1)]


def test_other_threads_and_tasks_are_not_affected(broker):
    """An import in one request hides nothing of another."""
    with suppress_publishing():
        thread = threading.Thread(target=publish, args=["x", 1], kwargs={"on_commit": False})
        thread.start()
        thread.join()
    assert broker.messages == [("x", 1)]
