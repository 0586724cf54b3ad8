"""``push_application()`` in the ASGI servers that people use: real processes, real clients."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from websockets.sync.client import connect

from tests.ports import free_port
from tests.redis_server import running_redis
from tests.runserver.conftest import wait_until_served
from tests.runserver.test_runserver import BANNER, PUBLISH, SHIPPED, announcements, is_reached_by_its_address, news
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes

APPLICATION = "mysite.mounted:application"


def uvicorn(port):
    return ["-m", "uvicorn", APPLICATION, "--port", str(port)]


def daphne(port):
    return ["-m", "daphne", "--port", str(port), APPLICATION]


def hypercorn(port):
    return ["-m", "hypercorn", "--bind", f"127.0.0.1:{port}", APPLICATION]


def serve(site, make_arguments, *more, **environment):
    """Start an ASGI server and wait until it serves."""
    port = free_port()
    arguments = [*make_arguments(port), *more]
    server = site.start(
        arguments,
        url=f"127.0.0.1:{port}",
        DJANGO_SETTINGS_MODULE="mysite.settings",
        PYTHONPATH=_path(site),
        **environment,
    )
    wait_until_served(server)
    return server


def _path(site):
    """The project, and whatever the tests themselves import from."""
    return ":".join(filter(None, [str(site.directory), site.environment.get("PYTHONPATH")]))


def greet(server):
    """Connect and return the first word; a worker that is not the push server says so."""
    with connect(f"ws://{server.url}/juggernaut/websocket?protocol=1", open_timeout=PATIENCE, proxy=None) as client:
        return json.loads(client.recv(timeout=PATIENCE))


def readiness(server):
    try:
        with urllib.request.urlopen(f"http://{server.url}/juggernaut/readyz", timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ship(server):
    """Save a row in a view; return which of the workers did."""
    with urllib.request.urlopen(f"http://{server.url}/orders/1/ship/", timeout=PATIENCE) as response:
        return response.headers["X-Process"]


def gather(ask, size):
    """Ask again and again, until so many different answers have come: it is chance that picks the worker."""
    answers = []
    deadline = time.monotonic() + PATIENCE
    while len(set(map(str, answers))) < size:
        assert time.monotonic() < deadline, answers
        answers.append(ask())
    return answers


def right_client(server, *channels):
    """A client of the worker that is the push server; it comes back until it has found it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return server.client(*channels)
        except Exception:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("arguments", [uvicorn, daphne, hypercorn], ids=lambda make: make.__name__)
def test_pages_push_and_publications_share_a_port(site, arguments):
    """Views and other processes reach the clients, with nothing set; and nothing is left when it ends."""
    server = serve(site, arguments)
    assert server.get("/") == "the front page"
    assert readiness(server) == (200, "ok")
    client = server.client("orders", "banner")
    ship(server)
    assert news(client) == SHIPPED
    site.shell(PUBLISH)
    assert news(client) == BANNER
    if arguments is hypercorn:
        client.close()  # of one that it cuts off itself it shows a traceback
    assert server.interrupt() < 5
    client.wait_for_end()
    assert [file.name.partition("-")[0] for file in announcements(site)] == ["lock"]


@pytest.mark.parametrize("arguments", [uvicorn, daphne, hypercorn], ids=lambda make: make.__name__)
def test_it_says_where_it_is_reached_from_elsewhere(site, arguments):
    """SERVER_URL names the site's own port, for who finds nothing in the directory for temporary files."""
    assert is_reached_by_its_address(site, serve(site, arguments))


@pytest.mark.parametrize(
    "more", [(uvicorn, "--workers", "2"), (hypercorn, "--workers", "2")], ids=["uvicorn", "hypercorn"]
)
def test_without_redis_one_of_the_workers_is_the_push_server(site, more):
    """The other says so, and what is published in either reaches the pages."""
    make_arguments, *options = more
    server = serve(site, make_arguments, *options)
    words = gather(lambda: greet(server)["type"], 2)
    assert set(words) == {"connected", "disconnect"}
    refusal = next(word for word in iter(lambda: greet(server), None) if word["type"] == "disconnect")
    assert (refusal["code"], refusal["reconnect"]) == (3005, True)
    answers = gather(lambda: readiness(server), 2)
    assert set(answers) == {(200, "ok"), (503, "another process is the push server")}
    client = right_client(server, "orders", "banner")
    workers = gather(lambda: ship(server), 2)
    assert [news(client) for _ in workers] == [SHIPPED] * len(workers)
    site.shell(PUBLISH)
    assert news(client) == BANNER
    assert server.output.count("Another process is the push server of this project") == 1
    server.interrupt()


def test_with_redis_every_worker_is_a_push_server(site, tmp_path):
    """And none refuses anybody."""
    with running_redis(tmp_path) as redis:
        site.environment["SITE_JUGPUSH"] = json.dumps({"BROKER": redis.url})
        server = serve(site, uvicorn, "--workers", "2")
        clients = [server.client("orders", "banner") for _ in range(20)]
        workers = gather(lambda: ship(server), 2)
        for client in clients:
            assert [news(client)["data"]["fields"] for _ in workers] == [SHIPPED["data"]["fields"]] * len(workers)
        server.interrupt()
        for client in clients:
            client.wait_for_end()
