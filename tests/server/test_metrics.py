"""What is counted, and by which labels."""

from __future__ import annotations

import asyncio
import re

from prometheus_client.parser import text_string_to_metric_families

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.server.guard import Drop
from django_jugpush.server.metrics import OpsApplication
from tests.papers import DOCS
from tests.waiting import wait_until

from .conftest import Served


def ask(push, path="/metrics", loop=asyncio.run):
    """Ask without a server; return status and text."""
    sent = []

    async def send(message):
        sent.append(message)

    loop(OpsApplication(push)({"type": "http", "method": "GET", "path": path, "headers": []}, None, send))
    return sent[0]["status"], sent[1]["body"].decode()


def samples(served):
    """Return the value of each sample that is not zero."""
    families = text_string_to_metric_families(ask(served.push, loop=served.run)[1])
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        if sample.value:
            found[
                "".join([sample.name.removeprefix("jugpush_"), *(f" {value}" for value in sample.labels.values())])
            ] = sample.value
    return found


def test_everything_is_counted_once(serve):
    """Connections, what they say, what they get, and how they end."""
    served = serve()
    with served.peer(origin="https://evil.example", greet=False) as foreign:
        foreign.rest()
    with served.peer() as one, served.peer() as other:
        one.subscribe("open")
        other.subscribe("open")
        one.subscribe("closed")
        one.send(type="tea")
        one.receive()
        served.publish("open", 1)
        served.publish("nobody", 1)
        one.receive(), other.receive()
        counted = samples(served)
        counted.pop("disconnects_total NONE", None)  # the client by which was seen that the server is up
        assert counted == {
            "connections": 2,
            "sessions": 2,
            "subscriptions": 2,
            "channels": 1,
            "broker_connected": 1,
            "servers": 1,
            "ready": 1,
            "rights_known": 1,
            "publications_received_total": 2,
            "publications_delivered_total": 2,
            "commands_total subscribe": 3,
            "commands_total none": 1,
            "errors_total DENIED": 1,
            "errors_total UNKNOWN_TYPE": 1,
            "refused_total ORIGIN_DENIED": 1,
            "disconnects_total ORIGIN_DENIED": 1,
        }
        served.run(served.push.drain())
        one.rest(), other.rest()
    ended = samples(served)
    assert ended["disconnects_total SHUTDOWN"] == 2
    assert {"connections", "sessions", "subscriptions", "channels", "ready"}.isdisjoint(ended)


def test_client_that_goes_by_itself_has_no_code(serve):
    """Nor has one whose network is gone."""
    served = serve()
    before = samples(served).get("disconnects_total NONE", 0)
    with served.peer():
        pass
    wait_until(lambda: not served.push.connections)
    assert samples(served)["disconnects_total NONE"] > before


def test_feed_that_is_cut_off_is_seen(serve):
    """In two gauges."""
    served = serve()
    served.feed.is_connected = False
    assert {"broker_connected", "ready"}.isdisjoint(samples(served))


def test_servers_are_as_many_as_are_counted(serve, monkeypatch):
    """What each spread is multiplied by."""
    served = serve()
    monkeypatch.setattr(type(served.feed), "servers", 3)
    assert samples(served)["servers"] == 3


def test_series_are_there_from_the_start():
    """All of them, so that a first error is an increase; and there are never more."""
    served = Served()
    served.socket.close()
    families = list(text_string_to_metric_families(ask(served.push)[1]))
    labels = {
        family.name.removeprefix("jugpush_"): [value for sample in family.samples for value in sample.labels.values()]
        for family in families
        if any(sample.labels for sample in family.samples)
    }
    codes = [code.name for code in DisconnectCode]
    assert labels == {
        "commands": ["none", "subscribe", "unsubscribe", "meta", "event", "ping", "pong"],
        "errors": [code.name for code in ErrorCode],
        "refused": codes,
        "dropped": [drop.value for drop in Drop],
        "disconnects": ["NONE", *codes],
        "control_messages": ["revoke", "reauthorize", "disconnect", "dropped"],
        "subscriptions_ended": [code.name for code in ErrorCode],
        "renewals": ["renewed", "ended", "put_off"],
    }


def test_metrics_are_documented_as_they_are():
    """Each has its line, with its label, and no line is about another."""
    served = Served()
    served.socket.close()
    families = text_string_to_metric_families(ask(served.push)[1])
    there = {
        sample.name + "".join(f"{{{label}}}" for label in sample.labels)
        for family in families
        for sample in family.samples
    }
    page = (DOCS / "reference" / "metrics.rst").read_text()
    assert set(re.findall(r"^   \* - ``(jugpush_\w+(?:\{\w+\})?)``$", page, re.M)) == there


def test_other_paths_are_unknown():
    """What clients ask for is on another port."""
    served = Served()
    served.socket.close()
    assert [ask(served.push, path)[0] for path in ("/", "/websocket", "/publish")] == [404, 404, 404]
