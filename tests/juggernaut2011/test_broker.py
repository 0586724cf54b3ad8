"""``juggernaut+redis://``: what Django publishes, in the words of 2011."""

from __future__ import annotations

import msgspec
import pytest

from django_jugpush.brokers.juggernaut2011 import DEADLY_NAMES, Juggernaut2011Broker
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError, BrokerUnavailable


def publication(channel, data=b"1", id="one", **more):
    return Publication(id=id, channel=channel, data=msgspec.Raw(data), **more)


@pytest.fixture
def publish(redis_server):
    """A function that publishes, and returns what was heard on the channel of 2011."""
    broker = Juggernaut2011Broker(f"juggernaut+{redis_server.url}")

    def publish(*publications):
        with redis_server.client() as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe("juggernaut", "marker")
            for _ in range(2):
                pubsub.get_message(timeout=10)
            try:
                broker.publish(publications)
            finally:
                client.publish("marker", "")
                publish.heard = []
                while (message := pubsub.get_message(timeout=10))["channel"] != "marker":
                    publish.heard.append(message["data"])
        return publish.heard

    yield publish
    broker.close()


def test_publication_is_the_json_of_2011(publish):
    assert publish(publication("order:7", '{"text":"é"}'.encode())) == ['{"channels":["order:7"],"data":{"text":"é"}}']


def test_publication_to_several_channels_is_one_message(publish):
    """And what was published by another call is another one."""
    heard = publish(publication("a"), publication("b"), publication("a", id="two"))
    assert heard == ['{"channels":["a","b"],"data":1}', '{"channels":["a"],"data":1}']


def test_excluded_clients_are_named(publish):
    """One as text, several as a list: servers of 2011 take both."""
    assert publish(publication("a", exclude=("x",)), publication("a", exclude=("x", "y"))) == [
        '{"channels":["a"],"data":1,"except":"x"}',
        '{"channels":["a"],"data":1,"except":["x","y"]}',
    ]


def test_version_is_not_sent_and_stale_channels_are_left_out(publish):
    assert publish(publication("a", version=5), publication("a", stale="size")) == ['{"channels":["a"],"data":1}']


@pytest.mark.parametrize("name", sorted(DEADLY_NAMES))
def test_names_that_kill_the_original_are_refused_and_the_rest_is_published(publish, name):
    with pytest.raises(BrokerError, match=name) as caught:
        publish(publication("a", id="one"), publication(name, id="two"), publication("b", id="three"))
    assert not isinstance(caught.value, BrokerUnavailable)
    assert publish.heard == ['{"channels":["a"],"data":1}', '{"channels":["b"],"data":1}']


def test_absent_redis_is_told_as_by_other_brokers():
    with pytest.raises(BrokerUnavailable):
        Juggernaut2011Broker("juggernaut+redis://127.0.0.1:1").publish([publication("a")])
