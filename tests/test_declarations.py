from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from django_jugpush import Channel, channel
from django_jugpush.declarations import count, explain, find, find_for_instance, is_public, options_of, overlaps
from django_jugpush.exceptions import InvalidChannel
from tests.access.conftest import declared as fresh  # noqa: F401 - a fixture that every test uses
from tests.app.models import Export, Order, UrgentOrder

USER = SimpleNamespace(has_perm=lambda permission: permission == "app.view_order")


def patterns(matches):
    return [declared.pattern for declared, _ in matches]


class TestDeclaring:
    def test_decorator_returns_the_channel_and_keeps_the_callable(self):
        """What stands under the decorator's name is the Channel; the function is its authorizer."""

        def export(user, pk):
            return True

        declared = channel("export:<uuid:pk>")(export)
        assert declared.authorizer is export
        assert count() == 1

    @pytest.mark.parametrize(
        "pattern",
        ["", "user:<int:pk>", "user:1", "session:x", "presence:<str:x>", "jugpush:control", "a:<int:pk", "a:<nope:pk>"]
        + ["a:<int:p k>", "a\n", "e\u0301:<int:pk>", "x" * 201, "a:<int:pk>:<int:pk>"],
    )
    def test_pattern_that_cannot_be_one_is_refused(self, pattern):
        """Reserved namespaces, impossible names and broken converters are found when the project starts."""
        with pytest.raises(ImproperlyConfigured):
            channel(pattern)
        assert count() == 0

    @pytest.mark.parametrize("rules", [{"authorizer": bool}, {"permission": "app.view_order"}])
    def test_public_channel_takes_no_other_rule(self, rules):
        """A channel cannot be open to everybody and guarded at once."""
        with pytest.raises(ImproperlyConfigured):
            channel("banner", public=True, **rules)
        with pytest.raises(ImproperlyConfigured):
            channel("banner", public=True)(bool)

    def test_model_must_have_rows_with_one_key_and_not_be_the_user(self, django_user_model):
        """Only a model whose instances have a channel of their own can be declared."""

        class Abstract(models.Model):
            class Meta:
                abstract = True
                app_label = "app"

        for model in (Abstract, django_user_model, object, 7):
            with pytest.raises(ImproperlyConfigured):
                channel(model)


class TestNames:
    def test_name_is_the_reverse_of_match(self):
        """What name() writes, match() reads."""
        declared = channel("a:<int:pk>:<slug:part>:b")
        assert declared.name(pk=7, part="x-y") == "a:7:x-y:b"
        assert declared.match("a:7:x-y:b") == {"pk": 7, "part": "x-y"}

    def test_channel_without_parameters_has_one_name(self):
        """A plain declaration is a single channel."""
        declared = channel("banner", public=True)
        assert declared.name() == "banner"
        assert declared.match("banner") == {}
        assert declared.match("banner:1") is None

    @pytest.mark.parametrize("name", ["order:007", "order:+7", "order:7 ", "order:", "order:7:8", "Order:7", "order:٧"])
    def test_name_has_one_spelling(self, name):
        """A name that the pattern would not write is not one of its names."""
        assert channel("order:<int:pk>").match(name) is None

    def test_uuid_in_other_spellings_is_another_name(self):
        """Upper case is not what the converter writes."""
        declared = channel("export:<uuid:pk>")
        pk = uuid.UUID("abcdefab-0000-4000-8000-000000000001")
        assert declared.match(f"export:{pk}") == {"pk": pk}
        assert declared.match(f"export:{str(pk).upper()}") is None

    @pytest.mark.parametrize("values", [{}, {"pk": 1, "x": 2}, {"x": 2}])
    def test_name_wants_exactly_the_parameters(self, values):
        """A missing or unknown value is a mistake in the program."""
        with pytest.raises(TypeError, match="takes pk"):
            channel("order:<int:pk>").name(**values)

    @pytest.mark.parametrize("value", [-1, "x", "", "7\n", "x" * 300])
    def test_name_refuses_values_that_do_not_fit(self, value):
        """No name comes out that match() would not take."""
        with pytest.raises(InvalidChannel):
            channel("order:<int:pk>").name(pk=value)

    def test_reserved_names_reach_no_pattern(self):
        """A pattern wide enough for user:42 still does not get it."""
        wide = channel("<str:anything>", public=True)
        assert wide.match("user:42") is not None
        assert find("user:42") == []
        assert patterns(find("users:42")) == ["<str:anything>"]


class TestRules:
    def test_without_a_rule_the_answer_is_no(self):
        """A declaration that only gives names lets nobody in."""
        assert not channel("x").allows(USER, {})

    def test_authorizer_gets_the_user_and_the_converted_values(self):
        """Converters have run when the authorizer is asked."""
        asked = []
        channel("order:<int:pk>", lambda user, pk: asked.append((user, pk)) or True)
        ((declared, values),) = find("order:7")
        assert declared.allows(USER, values)
        assert asked == [(USER, 7)]

    def test_authorizer_that_raises_has_said_no_and_is_logged(self, caplog):
        """A bug in an authorizer closes the channel, and can be found."""
        assert not channel("x", lambda user: 1 / 0).allows(USER, {})
        assert "ZeroDivisionError" in caplog.text

    def test_permission_and_authorizer_must_both_say_yes(self):
        """Of two rules, each can refuse."""
        assert channel("a", permission="app.view_order").allows(USER, {})
        assert not channel("b", permission="app.add_order").allows(USER, {})
        assert not channel("c", lambda user: False, permission="app.view_order").allows(USER, {})
        assert not channel("d", lambda user: True, permission="app.add_order").allows(USER, {})

    @pytest.mark.parametrize("answer", [True, False])
    def test_async_authorizer_is_waited_for(self, answer):
        """A coroutine is not taken for a yes."""

        async def authorizer(user):
            return answer

        assert channel("x", authorizer).allows(USER, {}) is answer

    def test_async_authorizer_on_a_running_loop_says_no(self, caplog):
        """Where it cannot be waited for, the channel stays closed, and the log says why."""

        async def authorizer(user):
            return True

        async def view():
            return channel("x", authorizer).allows(USER, {})

        assert asyncio.run(view()) is False
        assert "async" in caplog.text

    def test_public_means_that_every_rule_is_public(self):
        """A second declaration of the same name closes it again."""
        channel("room:<slug:x>", public=True)
        channel("room:lobby")
        assert is_public(find("room:lobby"))
        channel("room:<str:x>", lambda user, x: True)
        assert not is_public(find("room:lobby"))
        assert not is_public([])


@pytest.mark.django_db
class TestModels:
    def test_authorizer_of_a_model_gets_the_instance(self):
        """The name's key is looked up."""
        order = Order.objects.create()
        declared = channel(Order, lambda user, found: found == order)
        ((match, values),) = find(f"app.order:{order.pk}")
        assert match is declared
        assert declared.allows(USER, values)

    def test_missing_instance_is_denied_without_asking(self):
        """There is nothing to be asked about."""
        declared = channel(Order, lambda user, order: True)
        assert not declared.allows(USER, find("app.order:123456")[0][1])
        assert not channel(Order, permission="app.view_order").allows(USER, {"pk": 123456})

    @pytest.mark.parametrize("key", ["007", "x", "", " 1", "1" * 30 + "x"])
    def test_key_that_the_model_would_not_write_is_no_name(self, key):
        """One row, one name."""
        channel(Order, lambda user, order: True)
        assert find(f"app.order:{key}") == []

    def test_key_too_big_for_the_database_is_denied(self):
        """What the database refuses to look for does not exist."""
        declared = channel(Order, lambda user, order: True)
        assert not declared.allows(USER, find(f"app.order:{'9' * 40}")[0][1])

    def test_instance_at_hand_is_not_fetched_again(self, django_assert_num_queries):
        """Only names cost a query."""
        order = Order.objects.create()
        declared = channel(Order, lambda user, found: found is order)
        with django_assert_num_queries(0):
            ((match, values),) = find_for_instance(order, f"app.order:{order.pk}")
            assert match is declared
            assert declared.allows(USER, values)

    def test_proxy_follows_the_rules_of_its_model(self):
        """A proxy's row is the same row, and has the same channel."""
        channel(Order, lambda user, order: False)
        urgent = UrgentOrder.objects.create()
        assert patterns(find_for_instance(urgent, f"app.order:{urgent.pk}")) == ["app.order:<path:pk>"]

    def test_name_of_a_model_channel(self):
        """Instances of other key types are named too."""
        pk = uuid.uuid4()
        assert channel(Export, lambda user, export: True).name(pk=pk) == f"app.export:{pk}"


class TestOptions:
    def test_options_are_found_by_name(self):
        """Of the channels of a pattern and of a model's instances too."""
        channel("banner", public=True, last=True)
        channel("price:<slug:symbol>", max_rate=2)
        channel(Order, history=[500, 60])
        assert options_of("banner") == {"last": True}
        assert options_of("price:acme") == {"max_rate": 2}
        assert options_of("app.order:7") == {"history": (500, 60.0)}
        for name in ("banners", "price:a b", "app.order:x", "app.export:7"):
            assert options_of(name) == {}

    def test_what_says_nothing_is_no_option(self):
        """The defaults are the broker's business."""
        channel("banner", lambda user: True, last=False, max_rate=None, history=None)
        assert options_of("banner") == {}

    def test_decorated_channel_has_options_too(self):
        """They stand beside the authorizer."""

        @channel("room:<slug:name>", history=(0, 1))
        def room(user, name):
            return True

        assert options_of("room:a") == {"history": (0, 1.0)}
        assert room.has_rule

    def test_first_with_options_counts_where_several_match(self):
        """As a whole: what a later one says is not added to it."""
        channel("room:<slug:name>")
        channel("room:a", last=True)
        channel("room:<str:name>", max_rate=1)
        assert options_of("room:a") == {"last": True}
        assert options_of("room:b") == {"max_rate": 1}

    def test_options_count_from_their_declaration_on(self):
        """What was found before is forgotten."""
        channel("room:<slug:name>", last=True)
        assert options_of("banner") == {}
        channel("banner", max_rate=1)
        assert options_of("banner") == {"max_rate": 1}

    def test_reserved_names_have_none(self):
        """No pattern reaches a user's own channel."""
        channel("<str:anything>", last=True)
        assert options_of("user:7") == {}
        assert options_of("other:7") == {"last": True}

    def test_nothing_is_matched_where_nothing_has_options(self, monkeypatch):
        """A project that does not use them does not pay for them."""
        channel("room:<slug:name>")
        monkeypatch.setattr(Channel, "match", None)
        assert options_of("room:a") == {}

    def test_a_name_is_matched_once(self, monkeypatch):
        """Most publications go to few channels."""
        asked = []
        monkeypatch.setattr(Channel, "match", lambda self, name: asked.append(name))
        channel("room:<slug:name>", last=True)
        assert [options_of(name) for name in ("a", "b", "a")] == [{}, {}, {}]
        assert asked == ["a", "b"]

    @pytest.mark.parametrize(
        "option",
        [{"last": None}, {"last": 1}, {"last": "yes"}]
        + [{"max_rate": rate} for rate in (0, -1, True, "2", float("inf"), float("nan"))]
        + [{"history": kept} for kept in (100, (100,), ("100", 5), (-1, 5), (1.5, 5), (100, 0), (100, None), (True, 5))]
        + [{"history": (100, 2_592_001)}],
    )
    def test_option_that_cannot_be_meant_is_refused(self, option):
        """When the project starts, with the channel and what it must be."""
        with pytest.raises(ImproperlyConfigured, match=r"'banner' has .* It must be "):
            channel("banner", **option)
        assert count() == 0


class TestExplaining:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("exprt:1", "nearest pattern is 'export:<int:pk>'"),
            ("export:007", "'export:7' is"),
            ("export:7", "which is not public"),
            ("user:7", "reserved"),
            ("zzz", "no channel() declares 'zzz'"),
        ],
    )
    def test_explanation_names_what_is_near(self, name, words):
        """A developer reads what to write instead."""
        channel("export:<int:pk>")
        channel("banner", public=True)
        assert words in explain(name)


class TestOverlaps:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("a:<int:x>", "a:<slug:y>"),
            ("a:<str:x>", "a:list:<int:y>"),
            ("<slug:x>:all", "room:<slug:y>"),
            ("a", "a"),
            ("a:<path:x>", "a:<int:x>/<int:y>"),
            ("a:<str:x>", "a:all"),
        ],
    )
    def test_two_patterns_for_one_name_are_found_with_an_example(self, first, second):
        """The example belongs to both."""
        one, other = channel(first), channel(second)
        ((left, right, example),) = overlaps()
        assert (left, right) == (one, other)
        assert one.match(example) is not None
        assert other.match(example) is not None

    def test_model_overlaps_a_pattern_for_its_names(self):
        """The two ways to declare an instance's channel are compared too."""
        channel(Order)
        channel("app.order:<int:pk>")
        assert len(overlaps()) == 1

    @pytest.mark.parametrize(
        ("first", "second"), [("a:<int:x>", "b:<int:x>"), ("a:<int:x>", "a:all"), ("a:<int:x>", "a:<uuid:x>")]
    )
    def test_patterns_apart_are_left_alone(self, first, second):
        """No false alarm."""
        channel(first)
        channel(second)
        assert overlaps() == []
