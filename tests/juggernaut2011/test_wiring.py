"""The setting decides who hears and who is told."""

from __future__ import annotations

import pytest
from django.test import override_settings

from django_jugpush.asgi import make_push_server
from django_jugpush.brokers.juggernaut2011 import Juggernaut2011Notices
from django_jugpush.brokers.redis import RedisFeed
from django_jugpush.signalling import SignalSender


def tenant():
    return "a-tenant"


def made(**setting):
    """Return the push server of a setting."""
    with override_settings(JUGPUSH=setting):
        return make_push_server()


def told(push):
    return [type(taker) for taker in push._notices._takers]


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:7001/3", "juggernaut+redis://127.0.0.1:7001/3"])
def test_server_hears_and_tells_as_in_2011_where_there_is_a_redis(broker):
    """Whichever words Django's processes publish in."""
    push = made(BROKER=broker)
    assert isinstance(push.feed, RedisFeed)
    assert push.feed._firehose_channel == "juggernaut"
    assert push.feed._firehose._namespace == "jugpush"
    assert told(push) == [SignalSender, Juggernaut2011Notices]
    assert push._notices._takers[1]._url == "redis://127.0.0.1:7001/3"
    heard = push.feed._connect().connection_pool.connection_kwargs
    assert (heard["host"], heard["port"], heard["db"]) == ("127.0.0.1", 7001, 3)


def test_other_name_is_used_by_both():
    push = made(BROKER="redis://127.0.0.1:7001", LEGACY_CHANNEL="shop")
    assert (push.feed._firehose_channel, push._notices._takers[1]._key) == ("shop", "shop")


@pytest.mark.parametrize("closing", [{"LEGACY_CHANNEL": None}, {"NAMESPACE": f"{__name__}.tenant"}], ids=str)
def test_both_can_be_closed_and_are_where_there_are_tenants(closing):
    """Nobody could say whose channel a message means; signals are sent all the same."""
    push = made(BROKER="redis://127.0.0.1:7001", **closing)
    assert push.feed._firehose_channel is None
    assert told(push) == [SignalSender]


def test_without_redis_the_project_alone_is_told():
    assert told(made()) == [SignalSender]


@pytest.mark.parametrize(("setting", "public"), [({}, False), ({"CLIENT_EVENTS": "public"}, True)], ids=str)
def test_setting_decides_who_may_send_events(setting, public):
    assert made(**setting).config.public_events is public
