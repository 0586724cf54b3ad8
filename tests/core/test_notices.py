"""What clients did, in the words of 2011."""

from __future__ import annotations

import msgspec
import pytest

from django_jugpush.core.notices import Notice, trusted_meta


@pytest.mark.parametrize(
    ("notice", "payload"),
    [
        (
            Notice(kind="subscribe", client="ID", channel="channel1", meta={"user_id": 42}),
            '{"channel":"channel1","meta":{"user_id":42},"session_id":"ID"}',
        ),
        (Notice(kind="unsubscribe", client="ID", channel="channel1"), '{"channel":"channel1","session_id":"ID"}'),
        (
            Notice(kind="custom", client="ID", meta={"user_id": 42}, data={"hello": [1, 2]}),
            '{"meta":{"user_id":42},"session_id":"ID","data":{"hello":[1,2]}}',
        ),
        (Notice(kind="custom", client="ID", meta=None, data=None), '{"meta":null,"session_id":"ID","data":null}'),
        (Notice(kind="custom", client="ID", user="7"), '{"session_id":"ID"}'),
    ],
)
def test_payload_has_the_keys_of_2011_in_their_order(notice, payload):
    """What was not said is left out."""
    assert notice.encode() == payload.encode()


@pytest.mark.parametrize(
    ("meta", "user", "trusted"),
    [
        (msgspec.UNSET, None, msgspec.UNSET),
        (msgspec.UNSET, "7", {"user_id": "7"}),
        ({"user_id": 1, "a": 2}, None, {"a": 2}),
        ({"user_id": 1, "a": 2}, "7", {"user_id": "7", "a": 2}),
        ({"user_id": 7}, "7", {"user_id": 7}),
        ({"user_id": "7"}, "7", {"user_id": "7"}),
        ({"user_id": ["7"]}, "7", {"user_id": "7"}),
        ({"user_id": True}, "True", {"user_id": "True"}),
        ([1], "7", [1]),
        ("user_id", None, "user_id"),
        (None, "7", None),
    ],
    ids=str,
)
def test_user_in_meta_is_the_verified_one_or_none(meta, user, trusted):
    """A page's own way to write it stays, if it is the same user."""
    assert trusted_meta(meta, user) == trusted
