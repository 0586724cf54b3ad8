"""``BROKER``: which URLs and paths name what, what is said of others, and that no password is ever shown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import subprocess
import threading
import traceback

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured

from django_jugpush.asgi import make_feed as make_project_feed
from django_jugpush.asgi import make_push_server
from django_jugpush.brokers import SCHEMES, find_class, find_problems, make_broker, make_feed
from django_jugpush.brokers.base import Broker
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.brokers.juggernaut2011 import Juggernaut2011Broker
from django_jugpush.brokers.local import LocalBroker, LocalFeed
from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.checks import check_setting
from django_jugpush.conf import Config, SecretURL, get_config, read_config
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable
from django_jugpush.publishing.delivery import get_broker, hand_over
from tests.redis_server import running_redis

PUBLICATION = Publication(id="1", channel="news", namespace="tests", data=msgspec.Raw(b'"news"'))

REDIS_URLS = [
    "redis://",
    "redis://127.0.0.1",
    "redis://redis.internal:6380/3",
    "redis://user:secret@[::1]:6379/0",
    "redis://:p%40ss%2F@redis.internal",
    "redis://redis.internal?db=2&socket_timeout=2",
    "rediss://user:secret@redis.internal:6380/0?ssl_cert_reqs=none",
    "unix:///run/redis/redis.sock",
    "unix://user:secret@/run/redis/redis.sock?db=2",
]


class Own(Broker):
    """A project's own, with both halves."""

    def __init__(self, config):
        self.config = config

    @classmethod
    def make_feed(cls, config):
        return LocalFeed()

    @classmethod
    def problems(cls, config):
        if config.SERVER_URL is None:
            yield "It needs a SERVER_URL."

    def publish(self, publications):
        """Do nothing."""


class Mute(Broker):
    """Has no feed."""

    def publish(self, publications):
        """Do nothing."""


def made(url, **more):
    """Return both halves for a URL."""
    config = Config(BROKER=url, **more)
    return make_broker(config, keys=[b"key"], find=lambda: []), make_feed(config)


@pytest.mark.parametrize("url", REDIS_URLS)
def test_redis_is_named_by_its_url(url):
    """Whatever its transport; with servers of 2011 too."""
    broker, feed = made(url)
    assert (type(broker), type(feed)) == (RedisBroker, RedisFeed)
    broker, feed = made(f"juggernaut+{url}")
    assert (type(broker), type(feed)) == (Juggernaut2011Broker, RedisFeed)
    for each in (url, f"juggernaut+{url}"):
        assert find_problems(Config(BROKER=each)) == []


def test_other_brokers_have_both_halves_too():
    assert list(map(type, made(None))) == [LocalBroker, LocalFeed]
    assert list(map(type, made("dummy://"))) == [DummyBroker, LocalFeed]
    broker, feed = made(f"{__name__}.Own")
    assert (type(broker), type(feed), broker.config.BROKER) == (Own, LocalFeed, f"{__name__}.Own")


def test_every_scheme_names_a_class():
    assert all(issubclass(find_class(f"{scheme}://"), Broker) for scheme in SCHEMES)


def test_broker_without_a_feed_is_heard_by_no_server(settings):
    """It is said when the server is to start."""
    with pytest.raises(LookupError, match="Mute has no make_feed"):
        make_feed(Config(BROKER=f"{__name__}.Mute"))
    settings.JUGPUSH = {"BROKER": f"{__name__}.Mute"}
    with pytest.raises(ImproperlyConfigured, match="Mute has no make_feed"):
        make_project_feed(get_config())


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass#word@redis.internal",
        "redis://:pa/ss@redis.internal",
        "redis://:12/34@redis.internal/0",
        "redis://redis.internal:port/0",
        "redis://redis.internal/main",
        "redis://[::1",
        "redis://redis.internal?db=x",
        "redis://redis.internal?pasword=secret",
        "redis://redis.internal?decode_responses=true",
        "rediss://redis.internal?ssl_cert_reqs=perhaps",
        "unix:///run/redis.sock?db=x",
    ],
)
def test_bad_url_is_an_error_of_the_checks(settings, url):
    """And of whoever goes on without them."""
    settings.JUGPUSH = {"BROKER": url}
    (error,) = check_setting()
    assert (error.id, "percent-encoded" in error.msg) == ("jugpush.E002", True)
    for each in (url, f"juggernaut+{url}"):
        settings.JUGPUSH = {"BROKER": each}
        assert len(check_setting()) == 1
        for make in (get_broker, make_push_server):
            with pytest.raises(ImproperlyConfigured, match="percent-encoded"):
                make()


@pytest.mark.parametrize("broker", ["pigeon://home", "redis+pigeon://home", "shop.brokers.Missing"])
def test_unknown_broker_is_an_error_of_the_checks(settings, broker):
    settings.JUGPUSH = {"BROKER": broker}
    (error,) = check_setting()
    assert error.id == "jugpush.E002" and "names no broker" in error.msg


def test_own_broker_has_a_say_in_the_checks(settings):
    settings.JUGPUSH = {"BROKER": f"{__name__}.Own"}
    (error,) = check_setting()
    assert error.msg == "JUGPUSH['BROKER'] cannot be used. It needs a SERVER_URL."
    settings.JUGPUSH |= {"SERVER_URL": "http://127.0.0.1:1/"}
    assert check_setting() == []


def test_servers_of_2011_need_their_channel(settings):
    """Else nobody would hear what is published."""
    settings.JUGPUSH = {"BROKER": "juggernaut+redis://127.0.0.1", "LEGACY_CHANNEL": None}
    (error,) = check_setting()
    assert "LEGACY_CHANNEL" in error.msg


def test_database_may_stand_in_the_query():
    broker, _ = made("redis://127.0.0.1?db=2")
    assert broker.names.channel("shop:x") == "shop:2:c:x"


# Real ones


def hears(url):
    """Publish through one and hear through the other; return what was heard, without its position."""

    async def scenario():
        broker, feed = made(url)
        heard = asyncio.Queue()
        await feed.start(lambda publications: [heard.put_nowait(one) for one in publications])
        try:
            feed.listen([PUBLICATION.full_name])
            async with asyncio.timeout(5):
                await feed.ready(PUBLICATION.full_name)
                await asyncio.to_thread(broker.publish, [PUBLICATION])
                return (await heard.get()).at(None)
        finally:
            await feed.stop()
            broker.close()

    return asyncio.run(scenario())


def test_unix_socket(tmp_path):
    path = tmp_path / "redis.sock"
    with running_redis(tmp_path, "--unixsocket", str(path)):
        assert hears(f"unix://{path}?db=1") == PUBLICATION


@pytest.fixture
def tls(tmp_path):
    """Return the port of a Redis that speaks TLS, and the file of its certificate, which is for 127.0.0.1."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with running_redis(tmp_path, *options, "--tls-auth-clients", "no"):
        yield port, certificate


def test_tls(tls):
    port, certificate = tls
    assert hears(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}") == PUBLICATION
    assert hears(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none") == PUBLICATION


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs={}"], ids=["unknown authority", "another host"])
def test_certificate_is_checked(tls, query):
    """By whom it is, and for which host."""
    port, certificate = tls
    host = "localhost" if query else "127.0.0.1"
    broker, _ = made(f"rediss://{host}:{port}/0{query.format(certificate)}")
    with pytest.raises(BrokerUnavailable) as caught:
        broker.publish([PUBLICATION])
    assert isinstance(caught.value.__cause__.__context__, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(caught)


# Secrets

CANARY = "c4n4ry"

SECRET_URLS = [
    "redis://user:c4n4ry@127.0.0.1:{port}/0",
    "redis://:c4n4ry@127.0.0.1:{port}/0",
    "redis://127.0.0.1:{port}/0?password=c4n4ry",
    "redis://:c4n4ry@127.0.0.1:1/0",
    "rediss://:c4n4ry@127.0.0.1:{deaf_port}/0",
    "unix://:c4n4ry@/nowhere.sock",
    "unix:///nowhere.sock?password=c4n4ry",
    "redis://:a/c4n4ry@127.0.0.1:{port}/0",
    "redis://:c4n4ry#b@127.0.0.1:{port}/0",
    "redis://:c4n4ry/b@127.0.0.1:{port}/0",
    "redis://:c4n4ry",
    "redis://127.0.0.1?c4n4ry=1",
    "redis:/:c4n4ry@127.0.0.1",
    "redis::c4n4ry@127.0.0.1",
    "pigeon://:c4n4ry@127.0.0.1",
    ":c4n4ry@127.0.0.1",
]


@pytest.fixture(scope="module")
def locked_redis(tmp_path_factory):
    """A Redis whose password is another."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        with server.client() as client:
            client.config_set("requirepass", "another")
        yield server
        server.client = None


@pytest.fixture(scope="module")
def deaf_port():
    """Where somebody hangs up at once, as who speaks no TLS does after a while."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("prefix", ["", "juggernaut+"])
@pytest.mark.parametrize("url", SECRET_URLS)
def test_password_is_never_shown(settings, locked_redis, deaf_port, url, prefix, caplog):
    """In no ``repr()``, check, exception (nor in those behind it), and no log, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    settings.JUGPUSH = {"BROKER": prefix + url.format(port=locked_redis.port, deaf_port=deaf_port)}
    shown = [repr(get_config()), repr(read_config(settings.JUGPUSH)), str(check_setting())]
    try:
        broker = get_broker()
        feed = make_project_feed(get_config())
    except ImproperlyConfigured as error:
        shown += traceback.format_exception(error)
    else:
        shown += [repr(broker), repr(feed), repr(vars(feed))]  # a client of redis-py, before 7.4, shows its password
        try:
            hand_over([PUBLICATION], raise_on_error=True)
        except Exception as error:
            shown += traceback.format_exception(error)

        async def listen():
            await feed.start(lambda publications: None)
            async with asyncio.timeout(5):
                while "Redis cannot be heard" not in caplog.text:  # noqa: ASYNC110 - a log sets no event
                    await asyncio.sleep(0.01)
            await feed.stop()

        asyncio.run(listen())
    shown += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert [text for text in shown if CANARY in text] == []


def test_wrong_type_is_shown_without_a_password():
    config, problems = read_config({"BROKER": ["redis://:c4n4ry@h", b"redis://:c4n4ry@h"]})
    assert CANARY not in repr(problems)
    assert config.BROKER is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@redis.internal:6379/0", "redis://***@redis.internal:6379/0"),
        ("redis://redis.internal/0?password=secret", "redis://redis.internal/0?***"),
        ("redis://redis.internal:6379/0", "redis://redis.internal:6379/0"),
        ("rediss://:a@b@[::1]:6379/0", "rediss://***@[::1]:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis://:secret", "redis:***"),
        ("redis://:se#cret@h", "redis://***@h"),
        ("shop.brokers.Own", "shop.brokers.Own"),
    ],
)
def test_as_much_as_can_be_is_shown(url, shown):
    """Which Redis it is helps whoever reads the log."""
    assert SecretURL(url).masked() == shown
    assert repr(SecretURL(url)) == repr(shown)
    assert str(SecretURL(url)) == url
