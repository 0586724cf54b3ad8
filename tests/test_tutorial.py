"""The tutorial and the README's lines, followed to the letter in an empty directory, end with a live page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.site import heed_interrupts
from tests.papers import DOCS, ROOT, commands, markdown_blocks, rst_blocks
from tests.ports import free_port

pytestmark = [pytest.mark.chromium, pytest.mark.processes]

START_TIMEOUT = 60

TERMINAL = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
}
"""Where nobody types, and everything is read."""


class Follower:
    """Does what a reader does: runs commands in one directory, writes files, starts the site."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.prelude = ""
        self.port = free_port()
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH", "VIRTUAL_ENV")
        }
        # pip must find everything here: no test waits for a registry.
        self.environ |= {"PYTHONUNBUFFERED": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.environ["PATH"] = f"{Path(sys.executable).parent}:{self.environ['PATH']}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def run(self, command: str) -> None:
        if command.startswith("source "):
            self.prelude = f"{command} && "
            return
        result = subprocess.run(
            ["bash", "-c", self.prelude + command], timeout=120, **TERMINAL, cwd=self.directory, env=self.environ
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        if command == "python -m venv .venv":
            self.lend_packages()

    def lend_packages(self) -> None:
        """Let the fresh environment see the packages of this one, so that pip has nothing to download."""
        (site_packages,) = self.directory.glob(".venv/lib/python3*/site-packages")
        (site_packages / "lent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        if path.name == "settings.py":
            old = path.read_text()
            text, count = re.subn(r"^INSTALLED_APPS = \[.*?^\]\n", lambda _: text, old, flags=re.M | re.S)
            assert count == 1, f"{name} has no INSTALLED_APPS to replace"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @contextmanager
    def site(self):
        """Run ``runserver`` until it says that push is ready; stop it as Ctrl-C does."""
        process = subprocess.Popen(
            ["bash", "-c", f"{self.prelude}exec python manage.py runserver 127.0.0.1:{self.port}"],
            **TERMINAL,
            cwd=self.directory,
            env=self.environ,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        output: list[str] = []
        ready = threading.Event()

        def listen() -> None:
            for line in process.stdout:
                output.append(line)
                if line.startswith("Push: ready"):
                    ready.set()

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            assert ready.wait(START_TIMEOUT), "".join(output)
            yield output
        finally:
            # The whole group, as a terminal does it: the autoreloader's child is in it.
            os.killpg(process.pid, 2)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
            listener.join(20)
            process.stdout.close()


@pytest.fixture
def follower(tmp_path):
    directory = tmp_path / "empty"
    directory.mkdir()
    return Follower(directory)


@pytest.fixture
def windows(browser):
    """Two windows that share no cookies."""
    return [browser.new_context().new_page() for _ in range(2)]


def open_in(windows, url, *, having="html"):
    """Open the page, again until it has an element, and wait until its subscriptions stand."""
    for window in windows:
        window.goto(url)
        deadline = time.monotonic() + 10
        while not window.locator(having).count() and time.monotonic() < deadline:
            window.wait_for_timeout(200)
            window.reload()
        for subscription in window.locator("juggernaut-subscribe").all():
            expect(subscription).to_have_attribute("connected", re.compile(".*"), timeout=10_000)


def expect_in(windows, text):
    for window in windows:
        expect(window.locator("body")).to_contain_text(text, timeout=10_000)


def test_tutorial_ends_with_two_windows_that_change_by_themselves(follower, windows):
    """From an empty directory, by the page's own commands and files only."""
    blocks = iter(rst_blocks((DOCS / "intro/tutorial.rst").read_text()))

    def follow(until: str) -> str | None:
        """Do what the page says, up to a command that contains ``until``, or to a block of that language."""
        for block in blocks:
            if block.language == until:
                return block.text
            if block.language != "console":
                follower.write(block.caption, block.text)
                continue
            for command in commands(block):
                if until in command:
                    return command
                follower.run(command)
        raise AssertionError(f"The tutorial has no {until}.")

    follow("runserver")
    with follower.site():
        open_in(windows, follower.url)
        expect_in(windows, "0 to make")
        windows[0].evaluate(
            "document.addEventListener('juggernaut:message', event => (window.last = event.detail.data))"
        )
        follower.run(follow("objects.create"))
        expect_in(windows, "1 to make")
        expect_in(windows, "Flat white for Ada")
        follower.run(follow("o.save()"))
        expect_in(windows, "0 to make")
        told = follow("json")
        assert windows[0].evaluate("window.last") == json.loads(told)

        saying = follow("push.publish")
        open_in(windows, follower.url, having="#notice")  # Django looks once a second whether a template has changed
        follower.run(saying)
        expect_in(windows, "We close at six")

    follower.run("python manage.py shell -c \"Order.objects.create(drink='Tea', guest='Bo')\"")
    with follower.site():
        expect_in(windows, "Tea for Bo")


def test_readme_lines_make_a_page_live(follower, windows):
    """The README's files, with the model, view and addresses that it takes for granted."""
    readme = markdown_blocks((ROOT / "README.md").read_text())
    settings, push_file, template = readme
    lines = [line for block in readme for line in block.text.splitlines() if line and not line.startswith("# ")]
    assert len(lines) == 10

    follower.run("django-admin startproject site1 .")
    follower.run("python manage.py startapp shop")
    settings_file = follower.directory / "site1/settings.py"
    installed = settings.text.replace("...", "*INSTALLED_APPS, 'shop'")
    settings_file.write_text(settings_file.read_text() + installed)
    follower.write(push_file.caption, push_file.text)
    follower.write("shop/templates/shop/orders.html", template.text)
    follower.write(
        "shop/models.py",
        "from django.db import models\n\n\nclass Order(models.Model):\n    name = models.CharField(max_length=9)\n\n"
        "    def __str__(self):\n        return self.name\n",
    )
    follower.write(
        "site1/urls.py",
        "from django.shortcuts import render\nfrom django.urls import path\nfrom shop.models import Order\n\n"
        "urlpatterns = [path('', lambda r: render(r, 'shop/orders.html', {'orders': Order.objects.all()}))]\n",
    )
    follower.run("python manage.py makemigrations shop && python manage.py migrate")
    with follower.site():
        open_in(windows, follower.url)
        follower.run("python manage.py shell -c \"from shop.models import Order; Order.objects.create(name='Lamp')\"")
        expect_in(windows, "Lamp")
