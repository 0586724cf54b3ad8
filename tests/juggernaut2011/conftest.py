"""A Redis, a push server that hears it as in 2011, and where npm has it, the original beside them."""

from __future__ import annotations

import contextlib

import pytest
import redis

from django_jugpush.brokers.juggernaut2011 import Juggernaut2011Notices
from django_jugpush.brokers.redis import RedisFeed
from tests.redis_server import running_redis
from tests.server.conftest import Served
from tests.waiting import wait_until

from .original import Original, Unavailable, install


def wait_until_heard(url, channel):
    """Return when somebody is subscribed to a channel of Redis."""
    with redis.Redis.from_url(url) as client:
        wait_until(lambda: client.pubsub_numsub(channel)[0][1])


@pytest.fixture
def serve(redis_server):
    """A function that starts a push server on this Redis, or on the one that is given."""
    with contextlib.ExitStack() as stack:

        def start(*, url=redis_server.url, key="juggernaut", takers=(), **config):
            feed = RedisFeed(url, namespace="tests", firehose=key)
            served = Served(feed=feed, takers=[Juggernaut2011Notices(url, key=key), *takers], **config)
            served.start()
            stack.callback(served.stop)
            wait_until_heard(url, key)
            return served

        yield start


@pytest.fixture
def served(serve):
    return serve()


@pytest.fixture(scope="session")
def original_files(request):
    """What runs the original; fetched once and kept in pytest's cache."""
    try:
        return install(request.config.cache.mkdir("juggernaut-2.1.1"))
    except Unavailable as reason:
        pytest.skip(f"the original Juggernaut cannot be run: {reason}")


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory):
    """A Redis with a password, without which the original does not start."""
    with running_redis(tmp_path_factory.mktemp("shared-redis")) as server:
        with server.client() as client:
            client.config_set("requirepass", "legacy")
        server.url = server.url.replace("//", "//:legacy@")
        yield server


@pytest.fixture(scope="module")
def original(original_files, shared_redis):
    """A running original server."""
    server = Original(*original_files, f"redis://u:legacy@127.0.0.1:{shared_redis.port}")
    yield server
    server.stop()
