"""The examples of the documentation do what the text around them says."""

from __future__ import annotations

import re

import pytest
from django.db import transaction

from django_jugpush import user_channel
from django_jugpush.publishing import receivers, registry
from tests.app.models import Customer, Order
from tests.papers import DOCS, rst_blocks


@pytest.fixture
def example(monkeypatch):
    """Return a function that runs the example with a caption, in a shop whose models are the tests'."""
    monkeypatch.setattr(registry, "bindings", dict(registry.bindings))
    monkeypatch.setattr(registry, "conflicts", [])
    blocks = {block.caption: block.text for block in rst_blocks((DOCS / "topics" / "publishing.rst").read_text())}

    def run(caption):
        names = {}
        exec(re.sub(r"from \.models", "from tests.app.models", blocks[caption]), names)
        return names

    receivers.disconnect(registry.bindings.pop(Order))
    run("shop/push.py")
    yield run
    receivers.disconnect(registry.bindings[Order])
    monkeypatch.undo()
    receivers.connect(registry.bindings[Order])


pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_goes_where_the_example_says(example, broker):
    """To the order, the list and the customer."""
    with transaction.atomic():
        customer = Customer.objects.create(name="Ada")
        order = Order.objects.create(customer=customer)
    names = [name for name, data in broker.messages if data["model"] == "app.order"]
    assert names == [f"app.order:{order.pk}", "orders", f"app.customer:{customer.pk}"]
    assert broker.messages[-1][1]["fields"] == {"status": "new"}


def test_a_sound_comes_before_the_order_that_is_saved_later(example, broker):
    """And the order comes once."""
    order = Order.objects.create()
    broker.publications.clear()
    example("shop/views.py")["pay"](None, order.pk)
    assert [data for name, data in broker.messages if name == "orders"] == [
        {"sound": "cash register"},
        {"event": "updated", "model": "app.order", "pk": order.pk, "fields": {"status": "paid"}},
    ]


def test_progress_is_seen_before_the_commit(example, broker, alice):
    """A batch each, and the rows at the end."""
    Order.objects.create(owner=alice)
    Order.objects.create(owner=alice)
    broker.batches.clear()
    example("shop/jobs.py")["archive"](alice)
    assert [[p.channel for p in batch] for batch in broker.batches[:2]] == [[user_channel(alice)]] * 2
    assert len(broker.batches) == 3


def test_many_rows_are_published_by_hand(example, broker):
    """As they are afterwards."""
    Order.objects.create()
    broker.publications.clear()
    example("shop/closing.py")["close_shop"]()
    assert broker.messages[-1][1]["fields"] == {"status": "closed"}


def test_an_import_is_not_published(example, broker):
    """Nor are the customers."""
    example("shop/importing.py")["import_orders"](["Ada", "Bob"])
    assert Order.objects.count() == 2
    assert not broker.batches
