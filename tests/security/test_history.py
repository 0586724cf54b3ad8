"""What was published before one had the right."""

from __future__ import annotations

import time

import pytest

from django_jugpush import channel, connection_token, publish, subscription_token
from django_jugpush.access import moments
from django_jugpush.core.positions import Position

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def past(servers, open_tab, browser, bob, monkeypatch):
    """A channel in which something was said to Bob alone, a moment ago; return the position before it."""
    monkeypatch.setattr(moments, "MARGIN", 0.0)
    tab = open_tab(servers[0])
    answer = tab.subscribe("orders", browser("bob").tokens()["orders"])
    publish("orders", "secret of the past")
    said = Position.parse(tab.heard("secret of the past")["position"])
    while time.time() * 1000 < said.ms + 2:
        pass  # positions know no more than milliseconds
    return answer["position"]


@pytest.mark.parametrize("ask", ["page", "subscription_token()", "connection_token()"])
def test_is_not_told_whatever_the_client_claims_to_know(servers, open_tab, browser, past, alice, ask):
    """A position of another's, the beginning of the stream, a moment of long ago."""
    token = {
        "page": lambda: browser("alice").tokens()["orders"],
        "subscription_token()": lambda: subscription_token(alice, "orders", grant=True),
        "connection_token()": lambda: connection_token(alice),
    }[ask]()
    if ask == "connection_token()":
        channel("orders", lambda user: True)
    position = Position.parse(past)
    for since in (past, str(position._replace(offset=0)), str(Position.moment(1)), ""):
        answer = open_tab(servers[1]).subscribe("orders", token, since=since)
        assert (answer["type"], answer["recovered"]) == ("subscribed", False)
        assert answer.get("publications", []) == []


def test_is_told_to_who_had_the_right_all_the_time(servers, open_tab, browser, bob):
    tab = open_tab(servers[0])
    answer = tab.subscribe("orders", browser("bob").tokens()["orders"])
    publish("orders", 1)
    tab.heard(1)
    back = open_tab(servers[1]).subscribe("orders", answer["token"], since=answer["position"])
    assert (back["recovered"], [one["data"] for one in back["publications"]]) == (True, [1])
