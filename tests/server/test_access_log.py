"""What is written of a request, and what is not."""

from __future__ import annotations

import asyncio
import re

import pytest

from django_jugpush.server.access_log import AccessLog


def line(caplog, scope, *messages, error=None):
    """Return what is written when an application sends these messages."""

    async def application(scope, receive, send):
        for message in messages:
            await send(message)
        if error:
            raise error

    async def send(message):
        pass

    caplog.set_level("INFO", "django_jugpush.access_log")
    scope = {"client": ("203.0.113.9", 1), "query_string": b"token=secret"} | scope
    asyncio.run(AccessLog(application)(scope, None, send))
    (message,) = caplog.messages
    return re.sub(r"\d+\.\d{3} s", "T s", message)


def test_request(caplog):
    scope = {"type": "http", "method": "POST", "path": "/publish"}
    assert line(caplog, scope, {"type": "http.response.start", "status": 204}) == "203.0.113.9 POST /publish 204 T s"


def test_connection(caplog):
    """One line at its end, whoever closed it."""
    messages = [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 3001}]
    scope = {"type": "websocket", "path": "/websocket"}
    assert line(caplog, scope, *messages) == "203.0.113.9 WEBSOCKET /websocket 101 T s"


def test_connection_that_was_refused(caplog):
    scope = {"type": "websocket", "path": "/elsewhere"}
    assert line(caplog, scope, {"type": "websocket.close"}) == "203.0.113.9 WEBSOCKET /elsewhere 403 T s"


def test_line_cannot_be_forged(caplog):
    """A path is a stranger's text."""
    scope = {"type": "http", "method": "GET", "path": "/\n1.2.3.4 GET /\x1b[2J" + "x" * 1000, "client": None}
    written = line(caplog, scope, {"type": "http.response.start", "status": 404})
    assert written.startswith("- GET /%0A1.2.3.4%20GET%20/%1B%5B2Jxxx")
    assert len(written) < 300


def test_fault_is_written_as_one(caplog):
    with pytest.raises(RuntimeError):
        line(caplog, {"type": "http", "method": "GET", "path": "/"}, error=RuntimeError())
    assert " 500 " in caplog.text
