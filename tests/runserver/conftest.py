from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.site import heed_interrupts
from tests.ports import free_port
from tests.waiting import PATIENCE

PROJECT = Path(__file__).parent / "project"


class Server:
    """A management command that serves, in a process group of its own as a terminal would have it."""

    def __init__(self, arguments, *, cwd, env, url):
        self.url = url
        self.output = ""
        self._has_ended = False
        self._clients = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.output += line
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def wait_for(self, pattern, *, times=1):
        """Wait until the output has a match, or several."""

        def has_matches():
            return len(re.findall(pattern, self.output)) >= times

        with self._changed:
            self._changed.wait_for(lambda: self._has_ended or has_matches(), PATIENCE)
        if not has_matches():
            pytest.fail(f"{pattern!r} is not in the output:\n{self.output}")

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.url}{path}", timeout=PATIENCE) as response:
            return response.read().decode()

    def client(self, *channels, origin=None):
        self._clients.append(Client(self.url, *channels, origin=origin))
        return self._clients[-1]

    def interrupt(self):
        """Press CONTROL-C; return how long the process took to end."""
        started = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return time.monotonic() - started

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for client in self._clients:
            client.close()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.process.stdout.close()


class Client:
    """What a page does: connect, subscribe, listen; come back when the connection is lost."""

    def __init__(self, url, *channels, origin=None):
        self._url = f"ws://{url}/juggernaut/websocket?protocol=1"
        self._channels = channels
        self._origin = origin
        self._open = ExitStack()
        self._connect()

    def _connect(self):
        self._open.close()
        connecting = connect(self._url, origin=self._origin, open_timeout=PATIENCE, close_timeout=1, proxy=None)
        self._socket = self._open.enter_context(connecting)
        self.greeting = self._receive()
        for number, channel in enumerate(self._channels, start=1):
            self._socket.send(json.dumps({"type": "subscribe", "id": number, "channel": channel}))
            answer = self._receive()
            assert answer["type"] == "subscribed", answer

    def _receive(self):
        return json.loads(self._socket.recv(timeout=PATIENCE))

    def next(self):
        """Return the next publication."""
        message = self._receive()
        while message.get("type") == "ping":
            message = self._receive()
        return message

    def wait_for_end(self, meanwhile=lambda: None):
        """Wait for the connection's end, however it comes; return the last message."""
        message, deadline = None, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                message = json.loads(self._socket.recv(timeout=0.2))
            except TimeoutError:
                meanwhile()
            except ConnectionClosed:
                return message
        pytest.fail("the connection goes on")

    def reconnect(self):
        """Come back, as often as it takes."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._connect()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self):
        self._open.close()


class Site:
    """A project in a directory of its own, and its processes."""

    def __init__(self, directory, **environment):
        self.directory = directory
        temporary = directory.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        self.environment = {**inherited, "TMPDIR": str(temporary), **environment}
        self.servers = []

    def start(self, arguments, *, url, **environment):
        """Start Python with these arguments."""
        server = Server(arguments, cwd=self.directory, env={**self.environment, **environment}, url=url)
        self.servers.append(server)
        return server

    def serve(self, *arguments, command="runserver", host="127.0.0.1", bind=None, port=None, **environment):
        """Start a management command that serves."""
        port = port or free_port()
        address = f"{bind or host}:{port}"
        return self.start(["manage.py", command, address, *arguments], url=f"{host}:{port}", **environment)

    def runserver(self, *arguments, **options):
        """Start ``runserver`` and wait until it serves."""
        server = self.serve(*arguments, **options)
        server.wait_for("Push: .*\n")
        wait_until_served(server)
        return server

    def manage(self, *arguments, **environment):
        """Run a management command to its end and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def shell(self, code, **environment):
        return self.manage("shell", "-c", code, **environment)


def wait_until_served(server):
    host, _, port = server.url.rpartition(":")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline or server.process.poll() is not None:
                pytest.fail(f"nothing is served:\n{server.output}")
            time.sleep(0.02)


@pytest.fixture(scope="session")
def migrated_project(tmp_path_factory):
    """The project with its table and one order, made once."""
    directory = tmp_path_factory.mktemp("migrated") / "project"
    shutil.copytree(PROJECT, directory, ignore=shutil.ignore_patterns("__pycache__"))
    site = Site(directory)
    site.manage("migrate", "--run-syncdb", "--verbosity=0")
    site.shell("from shop.models import Order; Order.objects.create()", SITE_JUGPUSH='{"BROKER": "dummy://"}')
    return directory


@pytest.fixture
def make_site(migrated_project, tmp_path):
    """Make a site of its own in a directory of its own; all are stopped, and none may have shown a traceback."""
    sites = []

    def make(name="project", **environment):
        directory = tmp_path / name
        shutil.copytree(migrated_project, directory, ignore=shutil.ignore_patterns("__pycache__"))
        sites.append(Site(directory, **environment))
        return sites[-1]

    yield make
    servers = [server for site in sites for server in site.servers]
    for server in servers:
        server.kill()
    for server in servers:
        assert "Traceback" not in server.output, server.output
        assert "never awaited" not in server.output, server.output


@pytest.fixture
def site(make_site):
    return make_site()
