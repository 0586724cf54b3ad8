"""A log of refusals that a flood of them cannot flood."""

from __future__ import annotations

import logging

import pytest

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.server.refusals import MAX_PER_SECOND, RefusalLog


@pytest.fixture
def refusals(clock):
    """A log by that clock."""
    return RefusalLog(logging.getLogger("refusals"), clock)


def test_refusal_is_logged_with_its_reason(refusals, caplog):
    """The code's own message, where nothing more is known."""
    refusals.add(ErrorCode.DENIED, "order:7", "made for another channel")
    refusals.add(DisconnectCode.ORIGIN_DENIED, "https://evil.example")
    assert caplog.messages == [
        "DENIED: 'order:7' refused: made for another channel",
        "ORIGIN_DENIED: 'https://evil.example' refused: origin not allowed",
    ]


def test_what_a_client_sent_is_quoted_and_cut(refusals, caplog):
    """It can neither begin a line of its own nor fill the disk."""
    refusals.add(ErrorCode.DENIED, "a\nERROR: all is lost" + "x" * 1000)
    (message,) = caplog.messages
    assert "\n" not in message
    assert len(message) < 200


def test_flood_is_counted_not_logged(refusals, clock, caplog):
    """Per code and second; the count follows with the next line."""
    for _ in range(1000):
        refusals.add(ErrorCode.DENIED, "order:7")
    refusals.add(ErrorCode.TOKEN_EXPIRED, "order:7")
    assert len(caplog.messages) == MAX_PER_SECOND + 1
    clock.now += 1
    caplog.clear()
    refusals.add(ErrorCode.DENIED, "order:8")
    assert caplog.messages == ["DENIED: 990 more were refused.", "DENIED: 'order:8' refused: permission denied"]


def test_fault_is_logged_with_its_traceback_and_no_more_often(refusals, caplog):
    """An authorizer that fails can be asked again and again by anybody who has a token."""
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        for _ in range(3 * MAX_PER_SECOND):
            refusals.add(ErrorCode.INTERNAL, "order:7", fault=error)
    assert caplog.text.count("ZeroDivisionError") == MAX_PER_SECOND
    assert {record.levelname for record in caplog.records} == {"ERROR"}
