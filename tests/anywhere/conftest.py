"""The site that ``docs/howto/publish.rst`` describes, made of its examples, and an ear at its Redis."""

from __future__ import annotations

import json
import shutil
import textwrap
import time
from pathlib import Path

import pytest
import redis

from tests.papers import DOCS, commands, rst_blocks
from tests.runserver.conftest import Site
from tests.waiting import PATIENCE

PROJECT = Path(__file__).parent / "project"
BLOCKS = rst_blocks((DOCS / "howto" / "publish.rst").read_text())
SHELL = next(command for block in BLOCKS if block.language == "console" for command in commands(block))


class Ear:
    """Hears, in order, all that the projects of a Redis publish."""

    def __init__(self, url):
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub()
        self._pubsub.psubscribe("jugpush:*")
        assert self._pubsub.get_message(timeout=PATIENCE)["type"] == "psubscribe"

    def next(self):
        """Return channel and data of the next publication."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if message := self._pubsub.get_message(timeout=1):
                publication = json.loads(message["data"].partition(b" ")[2])  # before it, its position
                return publication["channel"], publication.get("data")
        pytest.fail("nothing is heard")

    def rest(self):
        """Return what was published by now and not yet asked for: Redis hands everything on in one order."""
        self._client.publish("jugpush:marker", '- {"channel": "marker"}')
        heard = list(iter(self.next, ("marker", None)))
        return heard

    def close(self):
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def ear(redis_server):
    ear = Ear(redis_server.url)
    yield ear
    ear.close()


@pytest.fixture(scope="session")
def described_project(tmp_path_factory):
    """The project with the files of the page, and one order."""
    directory = tmp_path_factory.mktemp("described") / "project"
    shutil.copytree(PROJECT, directory, ignore=shutil.ignore_patterns("__pycache__"))
    for block in BLOCKS:
        if block.language == "python" and block.caption != "settings.py":
            (directory / block.caption).write_text(block.text)
    site = Site(directory)
    site.manage("migrate", "shop", "0001", "--verbosity=0", PUSH_BROKER="dummy://")
    site.shell("from shop.models import Order; Order.objects.create()", PUSH_BROKER="dummy://")
    return directory


@pytest.fixture
def make_site(described_project, tmp_path):
    """Make a copy of the project with its own environment; its processes end with the test."""
    sites = []

    def make(**environment):
        directory = tmp_path / "project"
        shutil.copytree(described_project, directory)
        sites.append(Site(directory, PYTHONWARNINGS="default", **environment))
        return sites[-1]

    yield make
    for server in [server for site in sites for server in site.servers]:
        server.kill()
        assert "Traceback" not in server.output, server.output
        assert "never awaited" not in server.output, server.output


@pytest.fixture
def site(make_site, redis_server):
    """The site in production: its broker is Redis."""
    return make_site(PUSH_BROKER=redis_server.url)


def program(text):
    return textwrap.dedent(text)


def event(kind, pk, status):
    """Return what the site's ModelPush publishes."""
    return "orders", {"event": kind, "model": "shop.order", "pk": pk, "fields": {"status": status}}
