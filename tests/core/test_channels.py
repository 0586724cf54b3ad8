"""Channel names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.core.channels import MAX_NAME_BYTES, check_name, is_reserved
from django_jugpush.exceptions import InvalidChannel


@pytest.mark.parametrize("name", ["news", "user:42", "__proto__", "a b", "{x}", "é" * 100, "日本", "😀", "x" * 200])
def test_name_is_any_short_printable_text(name):
    """It is returned as it is."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is empty"),
        ("x" * 201, "it is longer than 200 bytes"),
        ("é" * 101, "it is longer than 200 bytes"),
        ("a\nb", "it has a control character"),
        ("a\x7f", "it has a control character"),
        ("é\n", "it has a control or format character"),
        ("a\u202eb", "it has a control or format character"),
        ("a\u2028b", "it has a control or format character"),
        ("a\ud800", "it has a control or format character"),
        ("e\u0301", "it is not in Unicode's normal form C"),
    ],
)
def test_bad_name_is_refused_with_its_reason(name, why):
    """The sentence quotes it."""
    with pytest.raises(InvalidChannel) as caught:
        check_name(name)
    assert caught.value.why == why
    assert str(caught.value) == f"{name[:100]!r} is not a channel name: {why}."


@given(st.text(st.characters(), max_size=210))
def test_name_that_passes_fits_everywhere(name):
    """Whatever text is given, the answer is the name or InvalidChannel."""
    try:
        assert check_name(name) == name
    except InvalidChannel:
        return
    assert 1 <= len(name.encode()) <= MAX_NAME_BYTES
    assert name.splitlines() == [name]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("user:42", True),
        ("jugpush:x", True),
        ("user:", True),
        ("user", False),
        ("users:42", False),
        ("x:user:42", False),
    ],
)
def test_reserved_is_what_stands_before_the_first_colon(name, is_one):
    """A name without colon is in no namespace."""
    assert is_reserved(name) is is_one
