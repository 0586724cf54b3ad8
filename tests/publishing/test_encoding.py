"""Data is written as Django writes JSON."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import types
import uuid

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.exceptions import PayloadTooBig
from django_jugpush.publishing.encoding import encode


class Status(models.TextChoices):
    NEW = "new", "New"


class Color(enum.Enum):
    RED = "red"


class Number(int):
    pass


def written(data):
    """Return what is written, read again."""
    return json.loads(bytes(encode(data)))


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])).map(mark_safe),
    st.datetimes(timezones=st.one_of(st.none(), st.just(datetime.UTC), st.timezones())),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.just(gettext_lazy("Yes")),
    st.just(Status.NEW),
)
_DATA = st.recursive(
    _SCALARS,
    lambda data: st.one_of(
        st.lists(data, max_size=3),
        st.tuples(data, data),
        st.dictionaries(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers()), data, max_size=3),
    ),
    max_leaves=8,
)


@given(_DATA)
def test_data_comes_out_as_django_writes_it(data):
    """Whatever DjangoJSONEncoder can write."""
    assert written(data) == json.loads(json.dumps(data, cls=DjangoJSONEncoder))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (datetime.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC), "2030-01-02T03:04:05.678Z"),
        (datetime.timedelta(days=1, minutes=2), "P1DT00H02M00S"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (mark_safe("<b>"), "<b>"),
        (gettext_lazy("Yes"), "Yes"),
        ({"label": Status.NEW.label, "value": Status.NEW}, {"label": "New", "value": "new"}),
        (Color.RED, "red"),
        (Number(7), 7),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset([2, 1]), [1, 2]),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        ("Grüße \u2028 😀", "Grüße \u2028 😀"),
    ],
)
def test_what_django_people_publish_just_works(data, expected):
    """Deep inside too."""
    assert written(data) == expected
    assert written({"a": [data]}) == {"a": [expected]}


def test_a_set_of_several_types_is_written_in_any_order():
    """It cannot be sorted."""
    assert sorted(map(str, written({1, "a"}))) == ["1", "a"]


@pytest.mark.parametrize("data", [float("nan"), float("inf"), {"a": [-float("inf")]}, "\ud800"])
def test_what_a_browser_cannot_read_raises(data):
    """JSON.parse knows no NaN, and UTF-8 no half of a pair."""
    with pytest.raises(ValueError):
        encode(data)


@pytest.mark.parametrize("data", [object(), b"bytes", {"a": {(1, 2): 3}}])
def test_what_has_no_form_raises(data):
    """As Django does."""
    with pytest.raises(TypeError):
        encode(data)


def test_data_that_holds_itself_raises():
    """It would not end."""
    data = []
    data.append(data)
    with pytest.raises(ValueError):
        encode(data)


def test_data_that_is_nested_too_deep_raises():
    """As what is wrong with the data, not with the program."""
    data = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ValueError, match="nested too deep"):
        encode(data)


def test_the_limit_is_in_bytes_of_json(settings):
    """Quotes and UTF-8 count."""
    settings.JUGPUSH = {"MAX_MESSAGE_SIZE": 6}
    assert written("äö") == "äö"
    with pytest.raises(PayloadTooBig) as caught:
        encode("äöü")
    assert (caught.value.size, caught.value.limit) == (8, 6)
