"""``manage.py juggernaut``, as it is started in production: real processes, real clients."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import re
import resource
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect, unix_connect

from tests.ports import free_port
from tests.redis_server import running_redis
from tests.runserver.test_runserver import BANNER, PUBLISH, announcements, news
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.processes

on_linux = pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="this system has no /proc")

ACCESS_LOG = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django_jugpush.access_log": {"handlers": ["console"], "level": "INFO"}},
}

PATIENT = {"SITE_JUGPUSH": '{"MAX_PENDING": 100000000, "MAX_MESSAGE_SIZE": 3000000}'}
"""Sends no client away for being slow."""


def ask(url, path):
    """Return status and body, whatever the status."""
    try:
        with urllib.request.urlopen(f"http://{url}{path}", timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def refusal(url):
    """Connect and return the one word that a refused client gets, and the close code."""
    with connect(f"ws://{url}/juggernaut/websocket?protocol=1", open_timeout=PATIENCE, proxy=None) as client:
        word = json.loads(client.recv(timeout=PATIENCE))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=PATIENCE)
    return word, closed.value.rcvd.code


def stop(server, how=signal.SIGTERM):
    """Stop a server; return its exit code and the seconds that it took."""
    started = time.monotonic()
    server.process.send_signal(how)
    code = server.process.wait(PATIENCE)
    return code, time.monotonic() - started


@contextlib.contextmanager
def frozen_client(server, site):
    """A client that reads nothing, and for which more waits than the sockets' buffers hold."""
    url = f"ws://{server.url}/juggernaut/websocket?protocol=1"
    with connect(url, max_queue=1, max_size=None, close_timeout=0.1, proxy=None) as client:
        client.recv(timeout=PATIENCE)
        client.send('{"type": "subscribe", "id": 1, "channel": "banner"}')
        client.recv(timeout=PATIENCE)
        site.shell(
            "import django_jugpush as push; [push.publish('banner', 'x' * 2_000_000) for _ in range(20)]", **PATIENT
        )
        yield
        client.socket.shutdown(socket.SHUT_RDWR)


def test_publication_of_another_process_reaches_a_client(site, push):
    """The server is found by itself, and says in one line that it is ready."""
    server = push.start()
    assert server.output == f"Push: ready on http://{server.url}/juggernaut/ (local broker), 1 model, 2 channels\n"
    client = server.client("banner")
    site.shell(PUBLISH)
    assert news(client) == BANNER


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_signal_ends_it_in_good_order(site, push, how):
    """Clients are told when to come back, the exit code is 0, and there is nothing to clear up."""
    server = push.start()
    clients = [server.client("banner") for _ in range(3)]
    code, seconds = stop(server, how)
    assert (code, seconds < 3) == (0, True)
    for client in clients:
        last = client.wait_for_end()
        assert last == {
            "type": "disconnect",
            "code": 3001,
            "message": "server is shutting down",
            "reconnect": True,
            "spread": 3,
        }
    assert not announcements(site)[1:]  # the lock's file stays
    assert server.output.count("\n") == 1


def test_client_that_does_not_read_delays_the_end_no_longer_than_is_said(site, push):
    """Its connection is cut, and nothing is traced back."""
    server = push.start("--drain-timeout", "0.5", **PATIENT)
    with frozen_client(server, site):
        code, seconds = stop(server)
        assert (code, 0.5 < seconds < 3) == (0, True)
    assert server.output.count("\n") == 1


def test_second_signal_ends_it_at_once(site, push):
    """Whatever the first one still waits for."""
    server = push.start("--drain-timeout", "60", **PATIENT)
    with frozen_client(server, site):
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(server.url))
        code, seconds = stop(server)
        assert (code, seconds < 2) == (0, True)
    assert server.output.count("\n") == 1


def _refuses(url):
    host, port = url.split(":")
    try:
        return socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True


def test_everybody_is_back_within_three_seconds_of_a_restart(site, push):
    """On the same port, which is free at once."""
    server = push.start()
    clients = [server.client("banner") for _ in range(10)]
    assert stop(server)[0] == 0
    again = push.start(port=int(server.url.partition(":")[2]))
    started = time.monotonic()
    for client in clients:
        client.reconnect()
    assert time.monotonic() - started < 3
    site.shell(PUBLISH)
    assert [news(client) for client in clients] == [BANNER] * 10
    assert again.url == server.url


# One push server, where there is no Redis


def test_second_process_takes_no_clients_until_the_first_is_gone(site, push):
    """It says so in every way it can, and then takes over."""
    first = push.start()
    second = push.start(ready=False)
    assert "Push: not ready: another process is the push server\n" in second.output
    assert second.output.count("Another process is the push server of this project") == 1
    word, code = refusal(second.url)
    assert (word["code"], word["reconnect"], code) == (3005, True, 3005)
    assert ask(second.url, "/juggernaut/readyz") == (503, "another process is the push server")
    assert ask(second.url, "/juggernaut/healthz") == (200, "ok")
    assert stop(first)[0] == 0
    second.wait_for("Push: ready .*\n")
    assert ask(second.url, "/juggernaut/readyz") == (200, "ok")
    client = second.client("banner")
    site.shell(PUBLISH)
    assert news(client) == BANNER


def test_publication_to_a_process_that_is_not_the_push_server_is_refused(site, push):
    """It would be lost, so who publishes is told."""
    first, second = push.start(), push.start(ready=False)
    elsewhere = {"SITE_JUGPUSH": json.dumps({"SERVER_URL": f"http://{second.url}/juggernaut/"})}
    assert "(503): another process is the push server" in site.shell(PUBLISH, **elsewhere)
    assert first.process.poll() is None


def test_killed_process_makes_room_for_the_next(site, push):
    """The system takes its lock away; its address is cleared away by who comes next."""
    push.start().kill()
    server = push.start()
    client = server.client("banner")
    site.shell(PUBLISH)
    assert news(client) == BANNER
    assert len([file for file in announcements(site) if not file.name.startswith("lock-")]) == 1


def test_directory_that_others_can_write_to_is_an_error(site, push):
    """Somebody came first to the shared directory for temporary files."""
    push.start().kill()
    announcements(site)[0].parent.chmod(0o777)
    assert "is not a directory that only its owner can use" in _failure(site)


def test_runserver_and_a_push_server_of_its_own_both_hear(site, push):
    """In development one may run both."""
    clients = [push.start().client("banner"), site.runserver("--noreload").client("banner")]
    site.shell(PUBLISH)
    assert [news(client) for client in clients] == [BANNER, BANNER]


# With Redis


def test_redis_that_is_away_is_waited_for(push, tmp_path):
    """The server is up, but not ready; nothing has to be started again when Redis comes, goes, and comes."""
    with running_redis(tmp_path) as redis:
        broker = {"SITE_JUGPUSH": json.dumps({"BROKER": redis.url})}
        redis.stop()
        server = push.start(ready=False, **broker)
        assert "Push: not ready: the broker cannot be heard\n" in server.output
        assert ask(server.url, "/readyz") == (503, "the broker cannot be heard")
        redis.start()
        server.wait_for(r"Push: ready on .* \(redis broker\), 1 model, 2 channels\n")
        client = server.client("banner")
        with redis.client() as publisher:
            wait_until(lambda: publisher.publish("juggernaut", '{"channels": ["banner"], "data": {"text": "hi"}}'))
        assert news(client) == BANNER
        redis.stop()
        wait_until(lambda: ask(server.url, "/readyz")[0] == 503)
        assert ask(server.url, "/healthz") == (200, "ok")
        redis.start()
        wait_until(lambda: ask(server.url, "/readyz")[0] == 200)
        assert server.output.count("Push: ready") == 1
        assert stop(server)[0] == 0


def test_redis_joins_several_servers(push, tmp_path):
    """All are ready, and ``--broker`` stands in for the setting."""
    with running_redis(tmp_path) as redis:
        servers = [push.start("--broker", redis.url) for _ in range(2)]
        clients = [server.client("banner") for server in servers]
        with redis.client() as publisher:
            assert publisher.publish("juggernaut", '{"channels": ["banner"], "data": {"text": "hi"}}') == 2
        assert [news(client) for client in clients] == [BANNER, BANNER]
        assert [ask(server.url, "/juggernaut/publish")[0] for server in servers] == [404, 404]


# Where it listens


def test_unix_socket(site, push, tmp_path):
    """What a killed process left is replaced, and what this one makes is removed."""
    path = tmp_path / "push.sock"
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))
    server = push.start("--unix", str(path))
    assert f"Push: ready on unix:{path} at /juggernaut/ (local broker)" in server.output
    url = "ws://site/juggernaut/websocket?protocol=1"
    with unix_connect(str(path), url, open_timeout=PATIENCE) as client:
        assert json.loads(client.recv(timeout=PATIENCE))["type"] == "connected"
        client.send('{"type": "subscribe", "id": 1, "channel": "banner"}')
        assert json.loads(client.recv(timeout=PATIENCE))["type"] == "subscribed"
        site.shell(PUBLISH)
        assert json.loads(client.recv(timeout=PATIENCE))["data"] == BANNER["data"]
        assert f"{path} is in use" in _failure(site, "--unix", str(path))
    assert stop(server)[0] == 0
    assert not path.exists()


def test_file_that_is_no_socket_is_left_alone(site, tmp_path):
    """A path that was mistyped."""
    path = tmp_path / "db.sqlite3"
    path.write_text("precious")
    assert f"{path} is not a socket" in _failure(site, "--unix", str(path))
    assert path.read_text() == "precious"


def test_busy_port_is_an_error(site):
    """In one line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "Address already in use" in _failure(site, "--port", str(listener.getsockname()[1]))


def test_name_stands_for_all_its_addresses(push):
    """As it does for browsers."""
    server = push.start("--host", "localhost")
    port = server.url.partition(":")[2]
    assert f"ready on http://localhost:{port}/juggernaut/" in server.output
    hosts = {address[0] for *_, address in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    for host in hosts:
        assert ask(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "/healthz") == (200, "ok")


def test_path_moves_it(push):
    """Under it, and without it, for proxies that strip it."""
    server = push.start("--path", "/live")
    assert f"ready on http://{server.url}/live/ (" in server.output
    assert ask(server.url, "/live/healthz") == ask(server.url, "/healthz") == (200, "ok")
    assert ask(server.url, "/juggernaut/healthz")[0] == 404


def test_root_is_a_path_too(push):
    """For a host name of its own."""
    server = push.start(SITE_JUGPUSH='{"PUBLIC_URL": "https://push.example.com/"}')
    assert f"ready on http://{server.url}/ (" in server.output
    assert ask(server.url, "/healthz") == (200, "ok")


def test_tls(push, tmp_path):
    """With certificate and key in two files, or in one."""
    certificate, key = _make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    trust = ssl.create_default_context(cafile=str(certificate))
    for arguments in [["--certificate", str(certificate), "--key", str(key)], ["--certificate", str(both)]]:
        server = push.start(*arguments)
        port = server.url.partition(":")[2]
        assert f"Push: ready on https://127.0.0.1:{port}/juggernaut/" in server.output
        url = f"wss://127.0.0.1:{port}/juggernaut/websocket?protocol=1"
        with connect(url, ssl=trust, open_timeout=PATIENCE, proxy=None) as client:
            assert json.loads(client.recv(timeout=PATIENCE))["type"] == "connected"
        # It is the page's scheme that counts: one of a plain site could be anybody's in between.
        with connect(url, ssl=trust, origin="http://127.0.0.1", open_timeout=PATIENCE, proxy=None) as client:
            assert json.loads(client.recv(timeout=PATIENCE))["code"] == 3507
        assert stop(server)[0] == 0


def _make_certificate(directory):
    """Make a certificate for 127.0.0.1 that signs itself, with what daphne needs anyway."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


# For operators


def test_metrics_are_on_a_port_of_their_own(site, push):
    """Where no proxy leads to."""
    ops = f"127.0.0.1:{free_port()}"
    server = push.start("--ops-bind", ops.partition(":")[2])
    client = server.client("banner")
    site.shell(PUBLISH)
    client.next()
    assert [ask(server.url, path)[0] for path in ("/metrics", "/juggernaut/metrics")] == [404, 404]
    assert ask(ops, "/readyz") == ask(ops, "/healthz") == (200, "ok")
    status, text = ask(ops, "/metrics")
    assert status == 200
    for line in [
        "jugpush_connections 1.0",
        "jugpush_subscriptions 1.0",
        "jugpush_broker_connected 1.0",
        "jugpush_publications_received_total 1.0",
        "jugpush_publications_delivered_total 1.0",
        'jugpush_commands_total{type="subscribe"} 1.0',
    ]:
        assert f"\n{line}\n" in text
    assert "banner" not in text


def test_it_is_not_ready_while_it_drains(site, push):
    """Who asks at the operators' port learns of it before the last client is gone."""
    ops = f"127.0.0.1:{free_port()}"
    server = push.start("--ops-bind", ops, "--drain-timeout", "60", **PATIENT)
    with frozen_client(server, site):
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(ops, "/readyz") == (503, "it is shutting down"))
        assert ask(ops, "/healthz") == (200, "ok")


def test_access_log_has_no_secrets(push):
    """Paths without their queries, and nothing if the project does not want a log."""
    server = push.start(SITE_LOGGING=json.dumps(ACCESS_LOG))
    client = server.client("banner")
    client.close()
    ask(server.url, "/juggernaut/healthz?token=secret%0A")
    ask(server.url, "/juggernaut/%0Aforged%20line")
    server.wait_for(r"127.0.0.1 WEBSOCKET /juggernaut/websocket 101 \d+\.\d{3} s\n")
    server.wait_for(r"127.0.0.1 GET /juggernaut/healthz 200 \d+\.\d{3} s\n")
    server.wait_for(r"127.0.0.1 GET /juggernaut/%0Aforged%20line 404 \d+\.\d{3} s\n")
    assert not re.search("secret|protocol=|\nforged", server.output)


def test_nothing_is_logged_unless_asked_for(push):
    """Not by uvicorn either, whose lines have queries in them."""
    everything = {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {"django_jugpush.access_log": {"level": "WARNING"}},
    }
    server = push.start(SITE_LOGGING=json.dumps(everything))
    server.client("banner").close()
    assert stop(server)[0] == 0
    assert "websocket" not in server.output


def test_versions_are_not_told(push):
    """Neither in a page's headers nor in a handshake's."""
    server = push.start()
    with connect(f"ws://{server.url}/juggernaut/websocket?protocol=1", proxy=None) as client:
        assert "Server" not in client.response.headers
    connection = http.client.HTTPConnection(server.url, timeout=PATIENCE)
    connection.request("GET", "/juggernaut/healthz")
    headers = connection.getresponse().headers
    connection.close()
    assert "Server" not in headers
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


@on_linux
def test_it_takes_as_many_connections_as_the_system_allows(push):
    """Not as few as a shell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        server = push.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard


@on_linux
def test_uvloop_is_used(push):
    """Where it is installed."""
    server = push.start()
    assert "uvloop" in Path(f"/proc/{server.process.pid}/maps").read_text()


# What is wrong is said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--broker", "radish://127.0.0.1"], "--broker: the scheme 'radish' is unknown"),
        (["--key", "key.pem"], "--key needs --certificate"),
        (["--certificate", "manage.py"], "--certificate manage.py: "),
        (["--trusted-proxies", "10.0.0.1/8"], "10.0.0.1/8 has host bits set"),
        (
            ["--trusted-proxies", "proxy.example.com"],
            "'proxy.example.com' does not appear to be an IPv4 or IPv6 address",
        ),
        (["--ops-bind", "metrics"], "'metrics' is not [HOST:]PORT"),
        (["--drain-timeout", "-1"], "must be a number of seconds"),
    ],
)
def test_mistake_is_one_message(site, arguments, message):
    assert message in _failure(site, *arguments)


def _failure(site, *arguments):
    """Start it to fail, and return what it says."""
    port = [] if "--port" in arguments else ["--port", str(free_port())]
    server = site.start(["manage.py", "juggernaut", *port, *arguments], url="")
    assert server.process.wait(PATIENCE) in (1, 2)
    server.wait_for("error: |Error: ")
    return server.output
