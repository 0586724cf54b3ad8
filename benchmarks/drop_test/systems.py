"""What is compared: how each is installed and started, what publishes to it, and what its clients are told."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from importlib import metadata
from pathlib import Path

from .processes import Process, free_port

HERE = Path(__file__).resolve().parent
CLIENTS = HERE / "clients"
NODE = "node"


class System(ABC):
    """One contestant. Server and publisher are processes of their own, and find each other by Redis."""

    client: str
    """The module in ``clients/`` that its clients are made of."""

    client_env: dict[str, str] = {}

    port = 0
    redis_url = ""

    @abstractmethod
    def install(self) -> None:
        """Install it, unless that is done."""

    def choose_ports(self, redis_port: int) -> None:
        self.port = free_port()
        self.redis_url = f"redis://127.0.0.1:{redis_port}/0"

    @abstractmethod
    def title(self) -> str:
        """Return its name and versions."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where its clients connect."""

    @abstractmethod
    def server(self) -> Process:
        """Start its server."""

    @abstractmethod
    def publisher(self, count: int, rate: float) -> Process:
        """Start what publishes; it says "ready", is told "go", and says "done"."""


class Jugpush(System):
    """This package: ``manage.py juggernaut``, and a process that calls ``publish()``."""

    client = "jugpush"

    def __init__(self, *, with_redis: bool) -> None:
        self._with_redis = with_redis

    def install(self) -> None:
        """Do nothing: it is here."""

    def title(self) -> str:
        version = metadata.version("django-jugpush")
        return f"django-jugpush {version}" + ("" if self._with_redis else ", local broker")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/juggernaut/"

    def server(self) -> Process:
        command = [sys.executable, "-m", "django", "juggernaut", "--port", str(self.port)]
        return Process(command, env=self._env())

    def publisher(self, count: int, rate: float) -> Process:
        command = [sys.executable, "-m", "benchmarks.drop_test.jugpush.publisher", str(count), str(rate)]
        return Process(command, env=self._env())

    def _env(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.drop_test.jugpush.settings",
            "DROP_TEST_REDIS": self.redis_url if self._with_redis else "",
            "DROP_TEST_SERVER": self.url,
        }


class Channels(System):
    """Django Channels under uvicorn, with the layer of channels_redis that is built on pub/sub."""

    client = "channels"

    def __init__(self, folder: Path) -> None:
        self._venv = folder / "channels"
        self._python = self._venv / "bin" / "python"

    def install(self) -> None:
        if self._python.exists():
            return
        subprocess.run([sys.executable, "-m", "venv", self._venv], check=True)
        # redis-py as channels_redis was made for. uvloop and httptools: as fast as uvicorn gets, and as ours is.
        packages = ["channels", "channels_redis", "redis<8", "uvicorn", "uvloop", "httptools", "websockets"]
        subprocess.run([self._python, "-m", "pip", "install", "-q", *packages], check=True)

    def title(self) -> str:
        code = "from importlib.metadata import version as v; print(v('channels'), v('channels_redis'), v('uvicorn'))"
        found = subprocess.run([self._python, "-c", code], check=True, capture_output=True, text=True).stdout
        channels, layer, uvicorn = found.split()
        return f"channels {channels}, channels_redis {layer} pub/sub, uvicorn {uvicorn}"

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def server(self) -> Process:
        command = [
            *(self._python, "-m", "uvicorn", "benchmarks.drop_test.channels.asgi:application"),
            *("--port", str(self.port), "--log-level", "warning", "--ws-per-message-deflate", "false"),
        ]
        return Process(command, env=self._env())

    def publisher(self, count: int, rate: float) -> Process:
        command = [self._python, "-m", "benchmarks.drop_test.channels.publisher", str(count), str(rate)]
        return Process(command, env=self._env())

    def _env(self) -> dict[str, str]:
        return {"DJANGO_SETTINGS_MODULE": "benchmarks.drop_test.channels.settings", "DROP_TEST_REDIS": self.redis_url}


class SocketIO(System):
    """socket.io with connection state recovery, which needs the adapter that is built on Redis Streams."""

    client = "socketio"

    def __init__(self, folder: Path) -> None:
        self._modules = folder / "socketio" / "node_modules"
        self.client_env = {"DROP_TEST_MODULES": str(self._modules)}

    def install(self) -> None:
        if self._modules.exists():
            return
        packages = ["socket.io@4.8", "socket.io-client@4.8", "@socket.io/redis-streams-adapter", "redis"]
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", self._modules.parent, *packages]
        subprocess.run(command, check=True)

    def title(self) -> str:
        server, adapter = map(self._version, ("socket.io", "@socket.io/redis-streams-adapter"))
        return f"socket.io {server} with recovery, redis-streams-adapter {adapter}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def server(self) -> Process:
        return self._node("server.mjs", str(self.port))

    def publisher(self, count: int, rate: float) -> Process:
        return self._node("publisher.mjs", str(count), str(rate))

    def _node(self, script: str, *arguments: str) -> Process:
        env = {**self.client_env, "DROP_TEST_REDIS": self.redis_url, "NODE_ENV": "production"}
        return Process([NODE, HERE / "socketio" / script, *arguments], env=env)

    def _version(self, package: str) -> str:
        return str(json.loads((self._modules / package / "package.json").read_text())["version"])
