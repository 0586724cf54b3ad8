"""What the doctor makes of answers that a whole site does not give; tests/deploy/test_doctor.py has the site."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading

import pytest
from django.core.management import CommandError, call_command
from websockets.sync.server import serve

from django_jugpush import diagnosis
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.diagnosis import Outcome

ORIGIN = "https://www.example.com"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody here answers late and well."""
    monkeypatch.setattr(diagnosis, "TIMEOUT", 0.3)


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def answering(status, body=b""):
    """Answer every request with a status; give the server's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(status)
            self.send_header("Location", "https://www.example.com/")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server, running(server):
        yield f"127.0.0.1:{server.server_port}"


@contextlib.contextmanager
def saying(*messages):
    """Say something to whoever connects, and wait until he has had enough."""

    def handler(connection):
        for message in messages:
            connection.send(message if isinstance(message, str) else json.dumps(message))
        for _ in connection:
            pass

    with serve(handler, "127.0.0.1", 0) as server, running(server):
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/juggernaut/websocket"


@pytest.mark.parametrize(
    ("limit", "policy", "outcome"),
    [
        ("0", "allkeys-lru", Outcome.GOOD),
        ("100mb", "noeviction", Outcome.GOOD),
        ("100mb", "allkeys-lru", Outcome.ADVICE),
        ("100mb", "volatile-ttl", Outcome.ADVICE),
    ],
)
def test_a_redis_that_throws_away_what_it_should_keep(own_redis, settings, capsys, limit, policy, outcome):
    """Without a limit it does not, whatever its policy."""
    settings.ALLOWED_HOSTS, settings.JUGPUSH = ["*"], {"BROKER": own_redis.url}
    client = own_redis.client()
    client.config_set("maxmemory", limit)
    client.config_set("maxmemory-policy", policy)
    [finding] = [finding for finding in diagnosis.diagnose() if finding.step == "Memory"]
    assert finding.outcome is outcome
    assert (policy in finding.text, "noeviction" in finding.remedy) == ((outcome is Outcome.ADVICE),) * 2


@pytest.mark.parametrize(
    ("rights", "outcome"), [("+@all -config", Outcome.ADVICE), ("+@all -info -config", Outcome.SKIPPED)]
)
def test_a_redis_that_does_not_tell_everybody_of_its_memory(own_redis, settings, rights, outcome):
    """The right to read its configuration is not needed."""
    client = own_redis.client()
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.execute_command("ACL", "SETUSER", "shop", "on", ">secret-word", "~*", "&*", *rights.split())
    settings.JUGPUSH = {"BROKER": own_redis.url.replace("//", "//shop:secret-word@")}
    finding = diagnosis.check_memory()
    assert finding.outcome is outcome and "noeviction" in finding.remedy
    assert "secret-word" not in finding.text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "answers with status 200"),
        (301, "answers with a redirect"),
        (403, "answers with status 403"),
        (404, "Nobody has a push server at /juggernaut/"),
        (426, "drops the headers"),
        (504, "does not reach the push server: it answers with status 504"),
    ],
)
def test_each_status_has_its_sentence(status, words):
    """And each a remedy."""
    with answering(status) as address:
        finding = diagnosis.check_connection(f"ws://{address}/juggernaut/websocket", ORIGIN)
    assert finding.outcome is Outcome.FAILED and words in finding.text and finding.remedy


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "says nothing"),
        (["<html>"], "no push server of this project"),
        ([{"type": "disconnect", "code": DisconnectCode.NOT_THE_SERVER}], "another process is it"),
        ([{"type": "disconnect", "code": DisconnectCode.ORIGIN_DENIED}], f"does not let pages of {ORIGIN} connect."),
        ([{"type": "disconnect", "code": 3001, "message": "server is shutting down"}], "server is shutting down"),
    ],
)
def test_each_first_word_has_its_sentence(messages, words):
    """Of a push server, or of somebody else."""
    with saying(*messages) as address:
        finding = diagnosis.check_connection(address, ORIGIN)
    assert finding.outcome is Outcome.FAILED and words in finding.text and finding.remedy


def test_an_origin_that_only_the_push_server_does_not_know(settings):
    """Its settings are others, or older."""
    settings.ALLOWED_HOSTS = ["www.example.com"]
    with saying({"type": "disconnect", "code": DisconnectCode.ORIGIN_DENIED}) as address:
        finding = diagnosis.check_connection(address, ORIGIN)
    assert "though these settings allow it" in finding.text


def test_a_push_server_that_lets_everybody_in():
    """Foreign pages too."""
    with saying({"type": "connected"}) as address:
        finding = diagnosis.check_origins(address, ORIGIN)
    assert finding.outcome is Outcome.FAILED and "foreign sites" in finding.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"type": "error", "id": 1, "code": 103}, "does not take what these settings sign"),
        ({"type": "error", "id": 1, "code": 109}, "The clock"),
        ({"type": "error", "id": 1, "code": 106, "message": "limit exceeded"}, "limit exceeded"),
        ({"type": "ping"}, "does not answer a subscription"),
        ({"type": "subscribed", "id": 1}, "did not arrive"),
    ],
)
def test_each_end_of_the_round_trip_has_its_sentence(answer, words):
    """Down to the last: all is well, but what is published goes elsewhere."""
    with saying({"type": "connected"}, answer) as address:
        finding = diagnosis.check_round_trip(address, ORIGIN)
    assert finding.outcome is Outcome.FAILED and words in finding.text and finding.remedy


@pytest.mark.parametrize(
    ("status", "body", "outcome", "words"),
    [
        (200, b"ok", Outcome.GOOD, "is ready"),
        (503, b"it is shutting down", Outcome.FAILED, "not ready: it is shutting down"),
        (503, b"another process is the push server", Outcome.FAILED, "another process"),
        (404, b"", Outcome.FAILED, "the answer's status is 404"),
    ],
)
def test_what_the_push_server_says_of_itself(settings, status, body, outcome, words):
    """At SERVER_URL."""
    with answering(status, body) as address:
        settings.JUGPUSH = {"SERVER_URL": f"http://{address}/juggernaut/"}
        finding = diagnosis.check_server()
    assert finding.outcome is outcome and words in finding.text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"CSRF_TRUSTED_ORIGINS": ["https://*.example.com", "https://shop.example.com"]}, "https://shop.example.com"),
        ({"JUGPUSH": {"ALLOWED_ORIGINS": ["https://shop.example.com"]}}, "https://shop.example.com"),
        ({"ALLOWED_HOSTS": [".example.com", "*", "www.example.com"]}, "https://www.example.com"),
        ({"ALLOWED_HOSTS": ["*"]}, None),
    ],
)
def test_where_the_site_is(settings, options, expected):
    """As far as the settings tell."""
    settings.ALLOWED_HOSTS = []
    for name, value in options.items():
        setattr(settings, name, value)
    assert diagnosis.guess_site() == expected


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("/juggernaut/", "wss://www.example.com/juggernaut/websocket?protocol=1"),
        ("https://push.example.com/", "wss://push.example.com/websocket?protocol=1"),
        ("http://127.0.0.1:8080/p/", "ws://127.0.0.1:8080/p/websocket?protocol=1"),
    ],
)
def test_where_a_page_connects_to(settings, public_url, expected):
    """On its own origin, or another."""
    settings.JUGPUSH = {"PUBLIC_URL": public_url}
    assert diagnosis.push_address(ORIGIN) == expected


def test_a_site_that_cannot_be_guessed_is_asked_for(settings, capsys):
    """And a broker for tests is no broker."""
    settings.ALLOWED_HOSTS, settings.JUGPUSH = ["*"], {"BROKER": "dummy://"}
    with pytest.raises(CommandError, match="to be mended"):
        call_command("juggernaut_doctor")
    said = capsys.readouterr().out
    assert "Broker: It is the one for tests" in said
    assert "Add --url https://www.example.com." in said


def test_a_setting_that_cannot_be_read_is_all_that_is_said(settings, capsys):
    """Nothing else can be tried."""
    settings.JUGPUSH = {"BROKR": "redis://"}
    with pytest.raises(CommandError, match="One thing is to be mended"):
        call_command("juggernaut_doctor")
    said = capsys.readouterr().out
    assert "✗ Settings: JUGPUSH has the unknown key 'BROKR'. (jugpush.E001)" in said
    assert "Broker:" not in said
