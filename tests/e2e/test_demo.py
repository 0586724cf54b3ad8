"""``make demo``'s script: it starts a pastebin that people can log in to, or says why it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.ports import free_port

from .site import ROOT, heed_interrupts, wait_until

DEMO = str(ROOT / "testproject" / "demo.py")


@pytest.fixture
def environ(tmp_path):
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
        "PASTEBIN_DATABASE": str(tmp_path / "demo.sqlite3"),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.mark.parametrize("times", [1, 2])
def test_demo_prints_where_it_is_and_serves_it(environ, tmp_path, times):
    """The first run makes users and pastes; the second finds them and adds nothing."""
    for _ in range(times):
        port = free_port()
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, DEMO],
                env=environ | {"PORT": str(port)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )
        try:
            page = fetch_when_up(process, f"http://127.0.0.1:{port}/", tmp_path / "log")
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=20)
    assert page.count('<li id="paste-') == 6
    printed = (tmp_path / "log").read_text()
    assert f"http://127.0.0.1:{port}/" in printed
    assert "ann, bob, cem (password: pastebin)" in printed


def fetch_when_up(process, url, log):
    pages = []

    def answers():
        assert process.poll() is None, log.read_text()
        try:
            pages.append(urllib.request.urlopen(url, timeout=5).read().decode())
        except OSError:
            return False
        return True

    wait_until(answers, what=lambda: f"the demo to answer:\n{log.read_text()}")
    return pages[-1]


def test_a_taken_port_is_explained(environ):
    """The message names the port and the command to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = subprocess.run(
            [sys.executable, DEMO], env=environ | {"PORT": str(port)}, capture_output=True, text=True
        )
    assert result.returncode != 0
    assert f"Port {port} cannot be used" in result.stderr
    assert "make demo PORT=" in result.stderr


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(environ, port):
    """PORT takes a number that can be a port."""
    result = subprocess.run([sys.executable, DEMO], env=environ | {"PORT": port}, capture_output=True, text=True)
    assert result.returncode != 0
    assert f"PORT={port} is not a port" in result.stderr
