"""``client_id`` and ``caused_by``: what a tab did itself is not told to it."""

from __future__ import annotations

import asyncio
import json
import threading
from io import BytesIO

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import RawPostDataException

from django_jugpush import apublish, caused_by, client_id, publish, publish_changes, suppress_publishing
from django_jugpush.publishing.rows import STORM
from tests.app.models import Customer, Order
from tests.papers import DOCS, rst_blocks

TAB = "Jx0bYl2R7tqKc1aM9wPz4A"
OTHER = "another_tab-of-somebody"


@pytest.fixture
def sent(rf):
    """Make a request that a tab sent."""
    return lambda tab=TAB: rf.get("/", headers={"X-Juggernaut-Client": tab} if tab else {})


def told(broker, channel):
    """Return to whom each publication to a channel is not told."""
    return [publication.exclude for publication in broker.publications if publication.channel == channel]


class TestClientId:
    @pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
    def test_header_says_it(self, rf, method):
        """Of a script's request, by any method."""
        assert client_id(getattr(rf, method)("/", headers={"X-Juggernaut-Client": TAB})) == TAB

    @pytest.mark.parametrize("kind", ["multipart", "urlencoded"])
    def test_form_says_it_in_a_field(self, rf, kind):
        """A form has no headers of its own."""
        urlencoded = {"data": f"a=1&juggernaut_client={TAB}", "content_type": "application/x-www-form-urlencoded"}
        form = {"data": {"juggernaut_client": TAB}} if kind == "multipart" else urlencoded
        assert client_id(rf.post("/", **form)) == TAB

    def test_header_comes_first(self, rf):
        """And spares the form from being read."""
        headers = {"X-Juggernaut-Client": TAB}
        request = rf.post("/", {"juggernaut_client": OTHER}, headers=headers)
        assert client_id(request) == TAB
        assert request.read()

    def test_form_helps_where_the_header_is_no_id(self, rf):
        """Whatever a proxy or an extension writes there."""
        request = rf.post("/", {"juggernaut_client": TAB}, headers={"X-Juggernaut-Client": "?"})
        assert client_id(request) == TAB

    @pytest.mark.parametrize("told", ["", "short", "x" * 65, "not an id at all, no", f"{TAB}\n", "ä" * 20])
    def test_what_is_no_id_counts_as_nothing(self, rf, told):
        """It comes from the visitor."""
        assert client_id(rf.post("/", {"juggernaut_client": told})) is None
        assert client_id(rf.get("/", headers={"X-Juggernaut-Client": told})) is None

    def test_request_that_does_not_say_it_is_of_no_client(self, rf):
        """Such as that of a browser without JavaScript."""
        assert client_id(rf.get("/", {"juggernaut_client": TAB})) is None
        assert client_id(rf.post("/", {"text": TAB})) is None

    def test_body_that_is_no_form_is_left_alone(self, rf):
        """The view may want to read it as a stream."""
        request = rf.post("/", json.dumps({"juggernaut_client": TAB}), content_type="application/json")
        assert client_id(request) is None
        assert json.loads(request.read())["juggernaut_client"] == TAB

    def test_broken_body_is_the_views_business(self, rf):
        """Cut off in the middle, or without an end."""
        request = rf.post("/", b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
        assert client_id(request) is None
        assert client_id(rf.post("/", b"abc", content_type="multipart/form-data; boundary=")) is None

    def test_body_that_is_too_big_is_the_views_business(self, rf, settings):
        """It still is when the view reads it."""
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        request = rf.post("/", f"juggernaut_client={TAB}", content_type="application/x-www-form-urlencoded")
        assert client_id(request) is None
        with pytest.raises(RequestDataTooBig):
            request.POST  # noqa: B018

    def test_body_that_was_read_or_cannot_be_is_the_views_business(self, rf):
        """A stream is there once, and a client may hang up."""
        form = {"data": f"juggernaut_client={TAB}", "content_type": "application/x-www-form-urlencoded"}
        request = rf.post("/", **form)
        request.read()
        assert client_id(request) is None
        with pytest.raises(RawPostDataException):
            request.body  # noqa: B018

        class Gone(BytesIO):
            def read(self, *args):
                raise OSError("the client hung up")

        request = rf.post("/", **form)
        request._stream = Gone()
        assert client_id(request) is None

    def test_request_of_rest_framework_is_unwrapped(self, rf):
        """Its wrapper parses the body by the view's parsers, of which none may be for forms."""

        class Wrapped:
            def __init__(self, request):
                self._request = request

        assert client_id(Wrapped(rf.post("/", {"juggernaut_client": TAB}))) == TAB


@pytest.mark.django_db(transaction=True)
class TestCausedBy:
    def test_everything_published_meanwhile_is_kept_from_the_tab(self, broker, sent):
        """By hand and by models."""
        with caused_by(sent()):
            publish("x", 1)
            async_to_sync(apublish)("x", 2)
            order = Order.objects.create()
            publish_changes(Order.objects.all())
            order.delete()
        assert told(broker, "x") == [(TAB,)] * 2
        assert told(broker, "orders") == [(TAB,)] * 3
        publish("x", 3)
        Order.objects.create()
        assert (told(broker, "x")[2:], told(broker, "orders")[3:]) == ([()], [()])

    def test_what_waits_for_the_commit_is_kept_from_it_too(self, broker, sent):
        """The transaction may end outside of the block."""
        with transaction.atomic():
            with caused_by(sent()):
                publish("x", 1)
                Order.objects.create()
            publish("x", 2)
        assert told(broker, "x") == [(TAB,), ()]
        assert told(broker, "orders") == [(TAB,)]

    def test_exclude_is_added_to(self, broker, sent):
        """Each id once."""
        with caused_by(sent()):
            publish("x", 1, exclude=OTHER)
            publish("x", 2, exclude=[TAB, OTHER])
        assert told(broker, "x") == [(OTHER, TAB), (TAB, OTHER)]

    def test_request_that_does_not_say_its_tab_keeps_nothing_from_anybody(self, broker, sent):
        """Nor from whoever caused what is around it."""
        with caused_by(sent()):
            with caused_by(sent(None)):
                publish("x", 1)
            with caused_by(sent(OTHER)):
                publish("x", 2)
            publish("x", 3)
        assert told(broker, "x") == [(), (OTHER,), (TAB,)]

    @pytest.mark.parametrize(
        ("causes", "excluded"),
        [
            ([TAB, TAB], (TAB,)),
            ([TAB, OTHER], ()),
            ([TAB, None], ()),
            ([None, TAB], ()),
            ([TAB, OTHER, TAB], ()),
            ([None, None], ()),
        ],
    )
    def test_row_is_told_to_all_unless_one_tab_did_all_of_it(self, broker, sent, causes, excluded):
        """Each tab has yet to see what the other did; only the last state is published."""
        order = Order.objects.create()
        broker.publications.clear()
        with transaction.atomic():
            for cause in causes:
                with caused_by(sent(cause)):
                    order.save()
        assert told(broker, "orders") == [excluded]

    def test_what_was_rolled_back_is_no_cause(self, broker, sent):
        """Nobody has to be told of it."""
        order = Order.objects.create()
        broker.publications.clear()
        with transaction.atomic():
            with caused_by(sent()):
                order.save()
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                order.save()
                1 / 0  # noqa: B018
        assert told(broker, "orders") == [(TAB,)]

    @pytest.mark.parametrize(("others", "excluded"), [([], (TAB,)), ([OTHER], ()), ([None], ())])
    def test_storm_is_told_to_all_unless_one_tab_caused_it(self, broker, sent, others, excluded):
        """It stands for all its rows."""
        with transaction.atomic():
            for tab in [TAB] * STORM + (others or [TAB]):
                with caused_by(sent(tab)):
                    Order.objects.create()
        assert told(broker, "orders") == [excluded]

    def test_suppressed_changes_are_no_cause(self, broker, sent):
        """They are as if they had not been."""
        order = Order.objects.create()
        broker.publications.clear()
        with transaction.atomic():
            with caused_by(sent()):
                order.save()
            with suppress_publishing():
                order.save()
        assert told(broker, "orders") == [(TAB,)]

    def test_an_error_ends_the_block(self, broker, sent):
        """As any ``with`` does."""
        with pytest.raises(ZeroDivisionError), caused_by(sent()):
            1 / 0  # noqa: B018
        publish("x", 1)
        assert told(broker, "x") == [()]

    def test_coroutines_do_not_mix(self, broker, sent):
        """Async views of one loop have causes of their own, and the ORM's thread knows them."""
        both_are_in = asyncio.Barrier(2)

        async def view(name, tab):
            with caused_by(sent(tab)):
                await both_are_in.wait()
                await apublish(name, 1)
                await Customer.objects.acreate(name=name)
                await sync_to_async(publish)(name, 2)

        async def both():
            await asyncio.gather(view("a", TAB), view("b", OTHER))

        async_to_sync(both)()
        assert (told(broker, "a"), told(broker, "b")) == ([(TAB,)] * 2, [(OTHER,)] * 2)
        rows = {customer.name: f"app.customer:{customer.pk}" for customer in Customer.objects.all()}
        assert (told(broker, rows["a"]), told(broker, rows["b"])) == ([(TAB,)], [(OTHER,)])

    def test_other_threads_are_not_affected(self, broker, sent):
        """What another request publishes is told to the tab."""
        with caused_by(sent()):
            thread = threading.Thread(target=publish, args=["x", 1], kwargs={"on_commit": False})
            thread.start()
            thread.join()
        assert told(broker, "x") == [()]

    def test_example_of_the_documentation(self, broker, rf):
        """A form is sent, and everybody but the tab that sent it is told."""
        blocks = {block.caption: block.text for block in rst_blocks((DOCS / "howto" / "publish.rst").read_text())}
        names = {}
        exec(blocks["shop/form_views.py"].replace("from .models", "from tests.app.models"), names)
        order = Order.objects.create()
        broker.publications.clear()
        response = names["pay"](rf.post("/orders/1/", {"juggernaut_client": TAB}), order.pk)
        assert (response.status_code, response.url) == (302, "/orders/1/")
        assert told(broker, "orders") == [(TAB,)]
        assert names["pay"](rf.get("/orders/1/"), order.pk).content == b"paid"
