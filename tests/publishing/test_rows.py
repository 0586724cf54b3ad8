"""What the changes of a transaction amount to, and what of the rows is published."""

from __future__ import annotations

import datetime
import logging
import time
from collections import Counter

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_delete
from django.test.utils import CaptureQueriesContext

from django_jugpush import publish, publish_changes
from django_jugpush.publishing import batch
from django_jugpush.publishing.rows import STORM
from django_jugpush.testing import capture_publications
from tests.app.models import Customer, Export, Note, Order, Place, Restaurant, UrgentOrder
from tests.app.push import OrderPush, PlacePush

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def create_order(**kwargs):
    """Return an order that nobody was told of."""
    with capture_publications():
        return Order.objects.create(**kwargs)


def test_the_message_has_the_words_of_djangos_serialization(broker):
    """With the event beside them."""
    order = create_order(total="9.90", customer=Customer.objects.create(name="Ada"))
    broker.publications.clear()
    order.status = "paid"
    order.save()
    assert broker.messages[0] == (
        f"app.order:{order.pk}",
        {
            "event": "updated",
            "model": "app.order",
            "pk": order.pk,
            "fields": {"status": "paid", "total": "9.90", "customer": order.customer_id},
        },
    )


def test_by_default_no_field_leaves_the_server(broker):
    """Only event, model and primary key do."""
    customer = Customer.objects.create(name="secret")
    assert broker.messages == [
        (
            f"app.customer:{customer.pk}",
            {"event": "created", "model": "app.customer", "pk": customer.pk, "fields": {}},
        )
    ]


def test_fields_come_out_as_django_serializes_them(broker):
    """Keys that are no numbers, times, durations, files and nested values."""
    finished = datetime.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    export = Export.objects.create(
        finished=finished, took=datetime.timedelta(hours=1, seconds=2), file="a.csv", options={"a": [None, 1.5]}
    )
    [(_, data)] = broker.messages
    assert data["pk"] == str(export.pk)
    assert data["fields"] == {
        "finished": "2030-01-02T03:04:05.678Z",
        "took": "P0DT01H00M02S",
        "file": "a.csv",
        "options": {"a": [None, 1.5]},
    }


def test_create_and_update_is_one_creation_with_the_last_values(broker):
    """However often the row is saved."""
    with transaction.atomic():
        order = Order.objects.create(status="new")
        for status in ("paid", "packed", "sent"):
            order.status = status
            order.save()
    [data] = [data for name, data in broker.messages if name == "orders"]
    assert (data["event"], data["fields"]["status"]) == ("created", "sent")


def test_create_and_delete_is_nothing(broker):
    """Nobody has seen it."""
    with transaction.atomic():
        Order.objects.create().delete()
    assert not broker.publications


def test_update_and_delete_is_a_deletion(broker):
    """The row is gone."""
    order = create_order()
    with transaction.atomic():
        order.save()
        order.delete()
    assert [event for event, *_ in broker.events("orders")] == ["deleted"]


def test_delete_and_create_is_an_update(broker):
    """The row was there before and is there after."""
    order = create_order()
    with transaction.atomic():
        Order.objects.get(pk=order.pk).delete()
        Order.objects.create(pk=order.pk)
    assert broker.events("orders") == [("updated", "app.order", order.pk)]


def test_a_deleted_row_is_published_as_it_was(broker):
    """Its channels and fields are asked for while it is there."""
    customer = Customer.objects.create(name="Ada")
    order = create_order(customer=customer, status="paid")
    pk = order.pk
    broker.publications.clear()
    order.delete()
    names = [name for name, _ in broker.messages]
    assert names == [f"app.order:{pk}", "orders", f"app.customer:{customer.pk}"]
    assert broker.messages[0][1]["fields"]["status"] == "paid"


def test_a_cascade_publishes_each_row(broker):
    """With the channels of what it referred to, though that is deleted too."""
    customer = Customer.objects.create(name="Ada")
    orders = [create_order(customer=customer).pk for _ in range(2)]
    name = f"app.customer:{customer.pk}"
    broker.publications.clear()
    broker.batches.clear()
    customer.delete()
    assert len(broker.batches) == 1
    assert sorted(broker.events(name)) == sorted(
        [("deleted", "app.customer", int(name.rpartition(":")[2])), *(("deleted", "app.order", pk) for pk in orders)]
    )


def test_a_queryset_deletion_publishes_each_row(broker):
    """Django sends the signals for it."""
    pks = {create_order().pk, create_order().pk}
    Order.objects.all().delete()
    assert {pk for _, _, pk in broker.events("orders")} == pks


def test_a_transaction_costs_one_query_for_each_model(broker):
    """Including what ``channels()`` follows, and the look at what was deleted."""
    customer = Customer.objects.create(name="Ada")
    orders = [create_order(customer=customer) for _ in range(5)]
    place = Place.objects.create(name="Rome")
    with CaptureQueriesContext(connection) as queries:
        with transaction.atomic():
            orders[4].delete()
            for order in orders[:4]:
                order.save()
                order.save()
            place.save()
            before = len(queries)
        after = len(queries)
    reads = [query["sql"] for query in queries.captured_queries[before:after] if query["sql"].startswith("SELECT")]
    assert len(reads) == 2


def test_a_version_is_the_time_just_before_the_row_was_read(broker):
    """Of two publications of a row, the one with the higher version is right."""
    start = time.time_ns() // 1000
    Order.objects.create()
    assert start <= broker.publications[0].version <= time.time_ns() // 1000
    publish("x", 1)
    assert broker.publications[-1].version is None


def test_the_channels_of_a_change_share_its_id(broker):
    """It is one publication to several."""
    Order.objects.create()
    Order.objects.create()
    ids = [publication.id for publication in broker.publications]
    assert len(ids) == 4 and len(set(ids)) == 2


def test_a_row_that_is_too_big_is_published_as_stale(broker, settings):
    """Who refreshes fetches it."""
    settings.JUGPUSH = {"MAX_MESSAGE_SIZE": 200}
    Export.objects.create(options={"a": "x" * 200})
    [publication] = broker.publications
    assert (publication.stale, bytes(publication.data)) == ("size", b"null")
    assert publication.version


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Other databases take no number that is too big for a float.")
def test_a_row_that_json_has_no_form_for_makes_stale(broker, caplog):
    """What shows it is refreshed, and the mistake is logged once."""
    with capture_publications():
        for _ in range(2):
            Export.objects.create()
    with connection.cursor() as cursor:
        cursor.execute("""UPDATE app_export SET options = '{"speed": 1e999}'""")
    publish_changes(Export.objects.all())
    assert [(p.stale, bytes(p.data)) for p in broker.publications] == [("gap", b"null")] * 2
    assert all(publication.version for publication in broker.publications)
    [record] = caplog.records
    assert "app.export" in record.getMessage() and "nor are 1 others" in record.getMessage() and record.exc_info
    assert any(str(export.pk) in record.getMessage() for export in Export.objects.all())


def test_changes_have_the_options_of_their_channels(broker, declared):
    """Each its own."""
    declared(Order, history=(5, 60))
    declared("orders", last=True, max_rate=2)
    order = Order.objects.create()
    order.delete()
    options = [(p.channel.partition(":")[0], p.history, p.last, p.max_rate) for p in broker.publications]
    assert options == [("app.order", (5, 60), False, None), ("orders", None, True, 2)] * 2


def test_too_many_rows_of_a_transaction_are_a_storm(broker, declared):
    """Of a channel that would get more than ``STORM``, and of no other."""
    declared("orders", history=(7, 60))
    customer = Customer.objects.create(name="Ada")
    broker.publications.clear()
    with transaction.atomic():
        for number in range(STORM + 1):
            Order.objects.create(customer=customer if number else None)
    storm = broker.publications[-2]
    assert (storm.channel, storm.stale, bytes(storm.data), storm.history) == ("orders", "storm", b"null", (7, 60))
    assert storm.id not in {publication.id for publication in broker.publications if publication is not storm}
    broker.publications.remove(storm)
    assert {publication.stale for publication in broker.publications} == {None}
    channels = Counter(name.partition(":")[0] for name, _ in broker.messages)
    assert channels == {"app.order": STORM + 1, "app.customer": STORM}


def test_as_many_rows_as_are_no_storm_are_published(broker):
    """What is published by hand does not count, nor what goes to other channels."""
    with transaction.atomic():
        publish("orders", "before")
        Order.objects.bulk_create([Order() for _ in range(STORM)])
        publish_changes(Order.objects.all(), event="created")
        Customer.objects.create(name="Ada")
    assert len(broker.events("orders")) == STORM
    assert {publication.stale for publication in broker.publications} == {None}


def test_what_is_published_by_hand_is_left_in_a_storm(broker):
    """In its place: the storm is where the last row was."""
    Order.objects.bulk_create([Order() for _ in range(STORM + 1)])
    with transaction.atomic():
        publish("orders", 1)
        publish_changes(Order.objects.all())
        publish("orders", 2)
    told = [(p.stale, bytes(p.data)) for p in broker.publications if p.channel == "orders"]
    assert told == [(None, b"1"), ("storm", b"null"), (None, b"2")]


def test_each_transaction_has_a_storm_of_its_own(broker):
    """So it is with calls outside of one."""
    Order.objects.bulk_create([Order() for _ in range(STORM + 1)])
    for _ in range(2):
        publish_changes(Order.objects.all())
    assert [p.stale for p in broker.publications if p.channel == "orders"] == ["storm", "storm"]


def test_fixtures_are_not_published(broker, tmp_path):
    """They are loaded in any order, so what ``channels()`` follows may be missing."""
    fixture = tmp_path / "orders.json"
    fixture.write_text('[{"model": "app.order", "pk": 7, "fields": {"status": "new"}}]')
    call_command("loaddata", str(fixture), verbosity=0)
    assert Order.objects.filter(pk=7).exists()
    assert not broker.publications


def test_a_model_that_is_not_registered_has_no_receivers(broker):
    """Nothing is slower for it, and Django may still delete its rows without looking at them."""
    Note.objects.create(text="a")
    assert not broker.batches
    assert not post_save.has_listeners(Note)
    assert not pre_delete.has_listeners(Note)


def test_a_proxy_is_published_as_its_concrete_model(broker):
    """It is the same row."""
    order = UrgentOrder.objects.create()
    pk = order.pk
    order.delete()
    assert broker.events("orders") == [("created", "app.order", pk), ("deleted", "app.order", pk)]


def test_proxy_and_concrete_model_are_one_row(broker):
    """Saved as both, it is published once."""
    with transaction.atomic():
        order = UrgentOrder.objects.create()
        Order.objects.get(pk=order.pk).save()
    assert broker.events("orders") == [("created", "app.order", order.pk)]


def test_a_model_that_inherits_is_published_as_its_parent(broker):
    """The parent's row is part of it; Django sends the deletion for both, and it is published once."""
    restaurant = Restaurant.objects.create(name="Rome")
    pk = restaurant.pk
    restaurant.name = "Roma"
    restaurant.save()
    restaurant.delete()
    assert broker.events() == [(event, "app.place", pk) for event in ("created", "updated", "deleted")]


def test_channels_is_asked_about_the_registered_model_only(broker, monkeypatch):
    """Also where a model that inherits from it is saved or deleted."""
    asked = []
    monkeypatch.setattr(PlacePush, "channels", lambda self, place: asked.append(type(place)))
    restaurant = Restaurant.objects.create(name="Rome")
    restaurant.delete()
    assert asked == [Place, Place]


def test_a_parent_that_is_kept_is_not_published_as_deleted(broker):
    """Only the child's row goes."""
    restaurant = Restaurant.objects.create(name="Rome")
    broker.publications.clear()
    restaurant.delete(keep_parents=True)
    assert not broker.publications


def test_the_row_is_read_from_the_database_that_was_written(broker):
    """Another one, or a replica, may have another row by that key, or none."""
    create_order(pk=1, status="default")
    broker.publications.clear()
    Order.objects.using("other").create(pk=1, status="other")
    assert broker.messages[0][1]["fields"]["status"] == "other"


def test_a_key_that_was_assigned_as_text_is_the_same_key(broker):
    """The database makes a number of it."""
    create_order(pk=7)
    Order(pk="7").save()
    assert broker.events("orders") == [("updated", "app.order", 7)]


def test_expressions_are_published_as_what_they_came_to(broker):
    """The instance in memory does not know it."""
    order = create_order(total=1)
    order.total = F("total") + 1
    order.save()
    assert broker.messages[0][1]["fields"]["total"] == "2.00"


def test_channels_that_raise_cost_their_row_only(broker, monkeypatch, caplog):
    """The request goes on, the rest is published, and the mistake is logged once."""

    def channels(self, order):
        if order.status != "good":
            raise RuntimeError("mistake")
        return "orders"

    monkeypatch.setattr(OrderPush, "channels", channels)
    with transaction.atomic():
        publish("x", 1)
        Order.objects.create(status="bad")
        good = Order.objects.create(status="good")
        Order.objects.create(status="bad")
    assert broker.messages[0] == ("x", 1)
    assert broker.events() == [("created", "app.order", good.pk)]
    [record] = caplog.records
    assert "nor are 1 others" in record.getMessage() and record.exc_info


def test_a_deletion_whose_channels_raise_goes_on(broker, monkeypatch, caplog):
    """The row is deleted, the rest is published."""
    order = create_order()
    monkeypatch.setattr(OrderPush, "channels", lambda self, order: 1 / 0)
    with transaction.atomic():
        order.delete()
        publish("x", 1)
    assert not Order.objects.exists()
    assert broker.messages == [("x", 1)]
    assert "ZeroDivisionError" in caplog.text


def test_a_bad_channel_name_is_logged(broker, monkeypatch, caplog):
    """There is no caller to raise it to."""
    monkeypatch.setattr(OrderPush, "channels", lambda self, order: ["orders\n"])
    Order.objects.create()
    assert not broker.publications
    assert "InvalidChannel" in caplog.text


@pytest.mark.parametrize("fields", [["nonsense"], ["customer__name"]])
def test_fields_that_do_not_exist_cost_their_rows_only(broker, monkeypatch, caplog, fields):
    """A check says so too."""
    monkeypatch.setattr(OrderPush, "fields", fields)
    with transaction.atomic():
        Order.objects.create()
        publish("x", 1)
    assert broker.messages == [("x", 1)]
    assert caplog.records[0].levelno == logging.ERROR


def test_a_query_that_fails_costs_its_model_only(broker, monkeypatch, caplog):
    """Such as one with a relation that does not exist."""
    monkeypatch.setattr(OrderPush, "select_related", ["nonsense"])
    with transaction.atomic():
        customer = Customer.objects.create(name="Ada")
        Order.objects.create()
        publish("x", 1)
    assert broker.events() == [("created", "app.customer", customer.pk)]
    assert broker.messages[-1] == ("x", 1)
    assert "changes of app.order are not published" in caplog.text


def test_nothing_that_goes_wrong_reaches_who_saves(broker, monkeypatch, caplog):
    """Whatever it is."""
    monkeypatch.setattr(batch, "hand_over", lambda publications: 1 / 0)
    order = Order.objects.create()
    with transaction.atomic():
        order.save()
    assert caplog.text.count("What came of 1 changes is not published") == 2


def test_publish_changes_publishes_what_sends_no_signals(broker):
    """An update in the database, for one."""
    orders = [create_order() for _ in range(3)]
    Order.objects.all().update(status="paid")
    assert not broker.batches
    publish_changes(Order.objects.all())
    assert len(broker.batches) == 1
    assert broker.events("orders") == [("updated", "app.order", order.pk) for order in orders]
    assert all(data["fields"]["status"] == "paid" for _, data in broker.messages)


def test_publish_changes_refuses_an_event_that_is_none(broker):
    """Taken for "updated", it would be published as that."""
    create_order()
    with pytest.raises(ValueError, match="'nonsense'.* created, updated or deleted"):
        publish_changes(Order.objects.all(), event="nonsense")
    assert not broker.batches


def test_publish_changes_can_create_and_delete(broker):
    """For ``bulk_create()``, and before a deletion without signals."""
    with transaction.atomic():
        orders = Order.objects.bulk_create([Order(), Order()])
        publish_changes(Order.objects.filter(pk__in=[order.pk for order in orders]), event="created")
    with transaction.atomic():
        publish_changes(Order.objects.all(), event="deleted")
        Order.objects.all()._raw_delete("default")
    assert [event for event, *_ in broker.events("orders")] == ["created", "created", "deleted", "deleted"]


def test_publish_changes_merges_with_what_was_signalled(broker):
    """It is one row."""
    with transaction.atomic():
        order = Order.objects.create()
        Order.objects.filter(pk=order.pk).update(status="paid")
        publish_changes(Order.objects.all())
    assert broker.events("orders") == [("created", "app.order", order.pk)]


def test_publish_changes_follows_the_queryset_to_its_database(broker):
    """As ``update()`` does."""
    Order.objects.using("other").bulk_create([Order(status="other")])
    publish_changes(Order.objects.using("other").all())
    assert broker.messages[0][1]["fields"]["status"] == "other"


def test_publish_changes_of_an_inheriting_model_publishes_the_parent(broker):
    """As saving it does."""
    restaurant = Restaurant.objects.create(name="Rome")
    broker.publications.clear()
    publish_changes(Restaurant.objects.all())
    assert broker.events() == [("updated", "app.place", restaurant.pk)]


def test_publish_changes_of_nothing_publishes_nothing(broker):
    """Not even an empty batch."""
    publish_changes(Order.objects.none())
    assert not broker.batches


def test_publish_changes_refuses_a_model_that_is_not_registered():
    """Silence would look like success."""
    with pytest.raises(LookupError, match=r"app\.Note"):
        publish_changes(Note.objects.all())
