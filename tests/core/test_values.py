"""JSON values that come from strangers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.core.values import MAX_DEPTH, read_value, write_value


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "replace")))
def test_any_text_is_read_or_refused_by_a_value_error(text):
    """And what was read can be written, and is then read as the same."""
    try:
        written = write_value(read_value(text))
    except ValueError:
        return
    assert write_value(read_value(written.decode())) == written


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", '"\x01"', "01", "1" * 5000, "[" * 100_000],
    ids=lambda text: text[:12],
)
def test_what_no_browser_reads_is_refused(text):
    with pytest.raises(ValueError):
        read_value(text)


def test_depth_is_limited():
    """Lists and objects count, what stands in the innermost does not."""
    assert read_value("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    for text in ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), '{"a":' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH):
        with pytest.raises(ValueError, match="levels deep"):
            read_value(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_value_survives_the_way_there_and_back(value):
    try:
        read = read_value(json.dumps(value))
    except ValueError as error:
        assert "deep" in str(error)
    else:
        assert read_value(write_value(read).decode()) == read


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    """It is JSON, but no UTF-8 can carry it."""
    assert write_value(read_value(r'{"a\ud83d":"b\udc00","c":"\ud83d\ude00"}')) == '{"a�":"b�","c":"😀"}'.encode()


def test_value_is_written_on_one_line():
    assert write_value(read_value('[\n1,\r\n"a\\nb" ]')) == b'[1,"a\\nb"]'
