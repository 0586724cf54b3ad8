"""What a project's own tests use."""

from __future__ import annotations

import unittest
from unittest.mock import ANY

import pytest
from django.db import transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from django_jugpush import apublish, publish
from django_jugpush.testing import PublicationAssertions, capture_publications
from tests.app.models import Customer, Order


class InsideTestCase(TestCase):
    """The transaction of a ``TestCase`` never commits."""

    databases = {"default", "other"}

    def test_what_waits_for_the_commit_is_captured(self):
        """At the end of the block."""
        with capture_publications() as published:
            order = Order.objects.create(status="paid")
            publish("x", 1, exclude="client")
        self.assertEqual([record.channel for record in published], [f"app.order:{order.pk}", "orders", "x"])
        self.assertEqual(published[0].data["fields"]["status"], "paid")
        self.assertEqual(published[2].exclude, ("client",))

    def test_what_was_done_before_is_not(self):
        """Setting up a test is not what it is about."""
        Order.objects.create()
        with capture_publications() as published:
            publish("x", 1)
        self.assertEqual([record.channel for record in published], ["x"])

    def test_one_capture_after_another_gets_its_own(self):
        """Though it is one transaction."""
        for number in range(3):
            with capture_publications() as published:
                publish("x", number)
            self.assertEqual([record.data for record in published], [number])

    def test_the_inner_of_two_takes_what_it_sees(self):
        """And the outer what comes after."""
        with capture_publications() as outer:
            publish("x", 1)
            with capture_publications() as inner:
                publish("x", 2)
            publish("x", 3)
        self.assertEqual([record.data for record in inner], [2])
        self.assertEqual([record.data for record in outer], [1, 3])

    def test_a_rolled_back_block_publishes_nothing(self):
        """As in production."""
        with capture_publications() as published:
            with self.assertRaises(ZeroDivisionError), transaction.atomic():
                publish("x", 1)
                raise ZeroDivisionError
            publish("x", 2)
        self.assertEqual([record.data for record in published], [2])

    def test_a_block_that_is_open_has_not_committed(self):
        """An assertion inside of it sees that."""
        with capture_publications() as published:
            with transaction.atomic():
                publish("x", 1)
                published.assertNotPublished()
            published.assertPublished("x", times=1)

    def test_each_database_is_captured(self):
        """Their transactions are the test's too."""
        with capture_publications() as published:
            Order.objects.using("other").create()
        published.assertPublished("orders")

    def test_other_callbacks_are_not_run(self):
        """They are the business of ``captureOnCommitCallbacks``, which works inside and outside."""
        ran = []
        with self.captureOnCommitCallbacks(execute=True), capture_publications() as published:
            transaction.on_commit(lambda: ran.append(1))
            publish("x", 1)
            published.assertPublished("x")
            self.assertEqual(ran, [])
        self.assertEqual(ran, [1])
        self.assertEqual(len(published), 1)
        with capture_publications() as published, self.captureOnCommitCallbacks(execute=True):
            publish("x", 1)
        self.assertEqual(len(published), 1)

    def test_an_error_is_not_hidden(self):
        """By what would be published."""
        with self.assertRaises(ZeroDivisionError), capture_publications() as published:
            publish("x", 1)
            raise ZeroDivisionError
        self.assertEqual(published, [])

    async def test_coroutines_capture_with_async_with(self):
        """The transaction is in another thread there."""
        await Customer.objects.acreate(name="Ada")
        async with capture_publications() as published:
            order = await Order.objects.acreate()
            await apublish("x", 1)
        published.assertPublished([order, "orders", "x"], times=1)
        self.assertEqual(len(published), 3)


class InsideTransactionTestCase(TransactionTestCase):
    """Transactions commit for real."""

    def test_only_commits_publish(self):
        """Nothing is run that Django would not run."""
        with capture_publications() as published:
            with transaction.atomic():
                publish("x", 1)
                published.assertNotPublished()
            published.assertPublished("x")


class WithoutDatabase(SimpleTestCase):
    """Publishing asks no database."""

    def test_publications_are_captured(self):
        """As ever."""
        with capture_publications() as published:
            publish("x", 1)
        published.assertPublished("x", 1)


class WithMixin(PublicationAssertions, TestCase):
    """Each test captures."""

    @classmethod
    def setUpTestData(cls):
        cls.customer = Customer.objects.create(name="Ada")

    def test_what_was_published_is_asserted(self):
        """Without a block."""
        order = Order.objects.create(customer=self.customer)
        self.assertPublished([order, self.customer])
        self.assertNotPublished("x")
        self.assertEqual(len(self.publications), 3)

    def test_the_set_up_is_not_captured(self):
        """It was before the test."""
        self.assertNotPublished()
        self.assertNotPublished(self.customer)


class Assertions(unittest.TestCase):
    """What they compare, and what they say."""

    def setUp(self):
        with capture_publications() as self.published:
            publish("a", {"text": "hello", "user": 7})
            publish("b", 1)
            publish("b", 2)

    def explain(self, function, *args, **kwargs):
        with self.assertRaises(AssertionError) as caught:
            function(*args, **kwargs)
        return str(caught.exception)

    def test_data_is_compared_as_json(self):
        """Tuples are lists, and ANY is anything, inside too."""
        with capture_publications() as published:
            publish("x", (1, {"a": 2}))
        published.assertPublished("x", (1, {"a": 2}))
        published.assertPublished("x", [1, ANY])
        published.assertNotPublished("x", [2, ANY])

    def test_how_often_can_be_said(self):
        """Exactly."""
        self.published.assertPublished("b", times=2)
        self.published.assertPublished("b", 1, times=1)
        self.published.assertPublished("c", times=0)
        self.assertIn("3 times, but 2 times", self.explain(self.published.assertPublished, "b", times=3))

    def test_a_difference_is_shown_line_by_line(self):
        """If there is one publication that may have been meant."""
        text = self.explain(self.published.assertPublished, "a", {"text": "goodbye", "user": 7})
        self.assertIn('-   "text": "goodbye",\n+   "text": "hello",\n    "user": 7', text)

    def test_otherwise_everything_is_listed(self):
        """One of them may be it."""
        text = self.explain(self.published.assertPublished, "c")
        self.assertIn("Nothing for 'c'", text)
        self.assertIn("- b: 1\n- b: 2", text)

    def test_silence_is_said(self):
        """The list would be empty."""
        with capture_publications() as published:
            pass
        self.assertIn("Nothing was published at all.", self.explain(published.assertPublished, "a"))

    def test_what_should_not_be_is_shown(self):
        """On any channel, or on those that were named."""
        self.published.assertNotPublished("c")
        self.published.assertNotPublished("b", 3)
        self.assertIn("- b: 2", self.explain(self.published.assertNotPublished, "b", 2))
        self.assertIn("- a: {", self.explain(self.published.assertNotPublished))


@pytest.mark.django_db
def test_pytests_db_fixture_is_a_testcase():
    """It is one underneath."""
    with capture_publications() as published:
        order = Order.objects.create()
    published.assertPublished(order)


def test_a_stale_publication_is_shown(settings):
    """It has no data to show."""
    from django_jugpush.testing import Record

    assert str(Record(channel="x", data=None, exclude=(), stale="size", id="1")) == "x: stale (size)"


@pytest.mark.django_db
def test_what_push_servers_are_told_of_rights_is_not_captured(alice):
    """It is no publication of the project's."""
    with capture_publications() as published:
        alice.is_active = False
        alice.save()
    assert published == []
