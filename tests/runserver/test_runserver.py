from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.ports import free_port
from tests.waiting import PATIENCE

from .conftest import wait_until_served

pytestmark = pytest.mark.processes

SHIPPED = {
    "channel": "orders",
    "data": {"event": "updated", "model": "shop.order", "pk": 1, "fields": {"status": "shipped"}},
}
PUBLISH = "import django_jugpush as push; push.publish('banner', {'text': 'hi'})"
BANNER = {"channel": "banner", "data": {"text": "hi"}}


def news(client):
    """The next publication, less its version and its place in the stream."""
    message = client.next()
    return {key: value for key, value in message.items() if key not in ("version", "position")}


def announcements(site):
    """The files by which the site's push servers are found."""
    return list(Path(site.environment["TMPDIR"]).glob("django-jugpush*/*"))


def works(site, server):
    """Show that a view and another process reach a client of this server."""
    client = server.client("orders", "banner")
    assert server.get("/orders/1/ship/") == "shipped"
    assert news(client) == SHIPPED
    site.shell(PUBLISH)
    assert news(client) == BANNER
    client.close()
    return True


def is_reached_by_its_address(site, server):
    """Show that a process reaches a client of this server where it finds none that is announced."""
    client = server.client("banner")
    address = json.dumps({"SERVER_URL": f"http://{server.url}/juggernaut/"})
    site.shell(PUBLISH, TMPDIR="/nonexistent", SITE_JUGPUSH=address)
    assert news(client) == BANNER
    return True


@pytest.mark.parametrize("arguments", [[], ["--noreload"], ["--nothreading"], ["--noreload", "--nothreading"]])
def test_saved_row_and_other_process_reach_a_client(site, arguments):
    """On one port, with every way of running."""
    server = site.runserver(*arguments)
    assert works(site, server)
    assert server.get("/") == "the front page"


def test_ready_line_is_printed_once(site):
    """One line for the eye, not one for the autoreloader's parent as well."""
    server = site.runserver()
    assert server.output.count("Push: ") == 1
    assert "Push: ready (local broker), 1 model, 2 channels\n" in server.output


def test_all_addresses(site):
    """Bound to 0.0.0.0, it is reached from the network and from this machine's processes."""
    server = site.runserver(bind="0.0.0.0")
    assert works(site, server)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(site):
    """Served on ::1 alone, it is found all the same."""
    server = site.runserver("--noreload", host="[::1]")
    assert works(site, server)


def test_keep_alive_connection_changes_hands(site):
    """A browser upgrades on a connection that has carried pages before."""
    server = site.runserver("--noreload")
    host, _, port = server.url.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    for _ in range(2):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"the front page"
    sock = connection.sock
    connection.request("GET", "/juggernaut/healthz")
    assert connection.getresponse().read() == b"ok"
    connection.request("GET", "/juggernaut/healthz")
    assert connection.getresponse().read() == b"ok"
    assert connection.sock is sock
    connection.close()


def test_request_that_comes_in_pieces_changes_hands(site):
    """What the web server has read, much or little, is not lost."""
    server = site.runserver("--noreload")
    host, _, port = server.url.partition(":")
    request = b"GET /juggernaut/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for cut in [1, 20, request.index(b"\r\n") + 2, request.index(b"\r\n") + 3, len(request) - 1]:
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request[:cut])
            server.get("/")  # the first piece has been read by the time that this is answered
            sock.sendall(request[cut:])
            assert sock.makefile("rb").read().endswith(b"\r\n\r\nok")


def test_paths_beside_the_mount_point_are_the_sites(site):
    """Only what is under the path of PUBLIC_URL is taken."""
    server = site.runserver("--noreload")
    host, _, port = server.url.partition(":")
    for path in ["/juggernautical/", "/juggernaut", "/orders/juggernaut/"]:
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, b"Page not found" in response.read()) == (404, True)
        connection.close()


def test_public_url_moves_it(site):
    """Another mount point is another path here too, its host is the proxy's business."""
    server = site.runserver("--noreload", SITE_JUGPUSH='{"PUBLIC_URL": "https://push.example.com/live/"}')
    assert server.get("/live/healthz") == "ok"


@pytest.mark.parametrize("arguments", [[], ["--noreload"], ["--nothreading"]])
def test_interrupt_ends_it_at_once(site, arguments):
    """CONTROL-C with clients connected: they are told to come back, nothing hangs, nothing is traced back."""
    server = site.runserver(*arguments)
    clients = [server.client("orders") for _ in range(3)]
    assert server.interrupt() < 2
    assert {client.wait_for_end()["code"] for client in clients} == {3001}
    assert not announcements(site)


def test_reload_brings_everything_back(site):
    """Five times a file is saved: the client is sent away, comes back, and everything works."""
    server = site.runserver()
    client = server.client("orders", "banner")
    for number in range(1, 6):
        # Repeatedly: the autoreloader sees a change only when it has looked at the file before.
        assert client.wait_for_end(meanwhile=(site.directory / "shop" / "models.py").touch)["code"] == 3001
        server.wait_for("Push: ready", times=number + 1)
        client.reconnect()
        server.get("/orders/1/ship/")
        assert news(client) == SHIPPED
    site.shell(PUBLISH)
    assert news(client) == BANNER
    assert server.output.count("Push: ready") == 6


def test_two_servers_of_a_project_both_hear(site):
    """A publication reaches the listeners of each, whichever process it comes from."""
    one, other = site.runserver("--noreload"), site.runserver("--noreload")
    clients = [server.client("orders", "banner") for server in (one, other)]
    one.get("/orders/1/ship/")
    assert [news(client) for client in clients] == [SHIPPED, SHIPPED]
    site.shell(PUBLISH)
    assert [news(client) for client in clients] == [BANNER, BANNER]


def test_projects_keep_to_themselves(make_site):
    """Two projects at once, even with one SECRET_KEY: a copied project is another one."""
    one, other = make_site("one"), make_site("other")
    here, there = one.runserver("--noreload"), other.runserver("--noreload")
    client, neighbour = here.client("banner"), there.client("banner")
    other.shell(PUBLISH.replace("hi", "other"))
    assert news(neighbour)["data"] == {"text": "other"}
    one.shell(PUBLISH)
    assert news(client) == BANNER


def test_killed_server_leaves_nothing_that_harms(site):
    """Its file stays behind; publications find the server that came after, which clears it away."""
    site.runserver("--noreload").kill()
    server = site.runserver("--noreload")
    assert works(site, server)
    assert len(announcements(site)) == 1


def test_publishing_without_a_server_is_one_warning(site):
    """The process goes on, and its log says what to do."""
    output = site.shell(PUBLISH + "; push.publish('banner', 2); print('goes on')")
    assert output.count("Start `manage.py runserver`") == 1
    assert "goes on" in output
    assert "Traceback" not in output


def test_stranger_at_the_address_hears_nothing(site):
    """A server that was killed, and whose port somebody else holds: no publication goes there."""
    server = site.runserver("--noreload")
    [announcement] = announcements(site)
    server.kill()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        announcement.write_text(f"http://127.0.0.1:{stranger.getsockname()[1]}/juggernaut/")
        stranger.settimeout(0)
        output = site.shell(PUBLISH.replace("hi", "secret"))
        connection, _ = stranger.accept()
        heard = connection.recv(65_536)
        connection.close()
    assert heard.startswith(b"GET /juggernaut/hello")
    assert b"secret" not in heard
    assert "cannot be reached" in output


def test_directory_that_others_can_write_to_is_not_used(site):
    """Somebody who came first to the shared directory for temporary files: it is said, and the site is served."""
    site.runserver("--noreload").kill()
    announcements(site)[0].parent.chmod(0o777)
    server = site.runserver("--noreload")
    assert "Push: not available, the site is served without it" in server.output
    assert server.get("/") == "the front page"


def test_busy_port_is_said_as_ever(site):
    """Django's own message comes through, and no push server is announced."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = site.serve("--noreload", port=listener.getsockname()[1])
        server.wait_for("That port is already in use")
        server.process.wait(10)
    assert "Push:" not in server.output
    assert not announcements(site)


def test_whichever_runserver_comes_next_is_used(site):
    """Static files are served, as ``django.contrib.staticfiles`` does it."""
    server = site.runserver("--noreload")
    assert "Juggernaut" in server.get("/static/django_jugpush/juggernaut.js")


def test_container_is_reached_by_its_address(site):
    """With SERVER_URL nothing is looked for: the publication goes to the web server's own port."""
    assert is_reached_by_its_address(site, site.runserver("--noreload"))


@pytest.mark.parametrize("arguments", [[], ["--noreload"], ["--noasgi"]])
def test_daphne(make_site, arguments):
    """Its ASGI server carries push on its own port."""
    site = make_site(SITE_APPS="daphne")
    server = site.runserver(*arguments)
    assert ("Daphne" in server.output) == ("--noasgi" not in arguments)
    assert server.output.count("Push: ready (local broker), 1 model, 2 channels") == 1
    assert server.get("/juggernaut/healthz") == "ok"
    assert works(site, server)
    client = server.client("banner")
    assert server.interrupt() < 3
    client.wait_for_end()


def test_other_server_says_what_to_do(make_site):
    """``runserver_plus`` carries no push: the first page that asks for it, and the first publication, say so."""
    site = make_site(SITE_APPS="django_extensions")
    server = site.serve(command="runserver_plus")
    server.wait_for("Debugger is active")
    for _ in range(2):
        with pytest.raises(InvalidStatus):
            server.client("orders")
    server.get("/orders/1/ship/")
    server.wait_for("no push server of this project was found. Start `manage.py runserver`")
    assert server.output.count("this server carries no push. `manage.py runserver` does") == 1


def test_runserver_beside_another_server_carries_its_push(make_site):
    """Pages of ``runserver_plus`` connect to the port that PUBLIC_URL names, and what it saves arrives there."""
    port = free_port()
    site = make_site(
        SITE_APPS="django_extensions", SITE_JUGPUSH=f'{{"PUBLIC_URL": "http://127.0.0.1:{port}/juggernaut/"}}'
    )
    push = site.runserver("--noreload", port=port)
    pages = site.serve(command="runserver_plus")
    pages.wait_for("Debugger is active")
    client = push.client("orders", origin=f"http://{pages.url}")
    pages.get("/orders/1/ship/")
    assert news(client) == SHIPPED


def test_every_open_page_may_come_back_at_once(site):
    """The queue of the listening socket holds more than the ten of Django's own."""
    server = site.runserver("--noreload")
    host, _, port = server.url.partition(":")
    os.kill(server.process.pid, signal.SIGSTOP)
    with ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection((host, int(port)), timeout=0.5)) for _ in range(100)
        ]
        for connection in connections:
            connection.sendall(b"GET /juggernaut/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            connection.settimeout(PATIENCE)
        os.kill(server.process.pid, signal.SIGCONT)
        assert {connection.recv(12) for connection in connections} == {b"HTTP/1.1 200"}


def test_public_url_without_a_path_leaves_the_port_to_the_site(site):
    """A push server with a host of its own is not here."""
    server = site.runserver("--noreload", SITE_JUGPUSH='{"PUBLIC_URL": "https://push.example.com/"}')
    assert "Push: not served here" in server.output
    assert server.get("/") == "the front page"


def test_mounted_in_another_asgi_server(site):
    """``push_application`` under uvicorn: pages, push and publications on its one port, which SERVER_URL names."""
    port = free_port()
    url = f"127.0.0.1:{port}"
    site.environment["SITE_JUGPUSH"] = json.dumps({"SERVER_URL": f"http://{url}/juggernaut/"})
    server = site.start(["-m", "uvicorn", "mysite.mounted:application", "--port", str(port)], url=url)
    server.wait_for("Uvicorn running")
    wait_until_served(server)
    assert server.get("/") == "the front page"
    client = server.client("orders", "banner")
    server.get("/orders/1/ship/")
    assert news(client) == SHIPPED
    site.shell(PUBLISH)
    assert news(client) == BANNER
    assert server.interrupt() < 5
    client.wait_for_end()
