"""Ids of clients."""

from __future__ import annotations

import pytest

from django_jugpush.core.clients import is_client_id, make_client_id


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a" * 16, True),
        ("A-z_0" * 12, True),
        ("a" * 15, False),
        ("a" * 65, False),
        ("a" * 16 + "\n", False),
        ("é" * 16, False),
        ("", False),
    ],
)
def test_client_ids_are_short_and_plain(text, is_one):
    """They stand in URLs and headers."""
    assert is_client_id(text) is is_one


def test_made_ids_are_such_and_differ():
    """Nobody can guess another's."""
    made = {make_client_id() for _ in range(100)}
    assert len(made) == 100 and all(map(is_client_id, made))
