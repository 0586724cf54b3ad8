"""``docs/reference/protocol.rst`` tells the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path

from django_jugpush.core.grants import Grant

from .conftest import NAMESPACE, authorize

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "protocol.rst").read_text()


def conversation():
    """Return the lines of the page's conversation."""
    section = PAGE.split("\nA conversation\n")[1].split("\nOther addresses\n")[0]
    return re.findall(r"^   ([→←] .*)$", section, re.M)


def test_conversation_happens_as_written(serve, monkeypatch):
    """Word by word; what the page's reader cannot do is done here: publish, let time pass, stop."""
    first, *lines, last = conversation()
    served = serve()
    monkeypatch.setattr(
        served.push._subscribing,
        "_authorize",
        lambda channel, token: (
            Grant(channel=channel, namespace=NAMESPACE)
            if channel == "banner"
            else authorize(channel, token and channel)
        ),
    )
    monkeypatch.setattr(served.push.hub, "place", lambda session: 0.618034)
    path, _, query = first.removeprefix("→ GET ").partition("?")
    with served.peer(greet=False, path=path, query=query) as peer:
        for line in lines:
            word = json.loads(line[2:])
            if line.startswith("→"):
                peer.socket.send(line[2:])
                continue
            if "type" not in word:
                served.publish(word["channel"], word["data"])
            elif word["type"] == "ping":
                beats = served.push._heartbeats
                monkeypatch.setattr(beats, "_clock", lambda now=beats._clock: now() + 25)
                served.run(beats.tick())
            elif word["type"] == "disconnect":
                served.run(served.push.drain())
            assert peer.receive() == word
        assert last == f"← close {peer.rest()[1]}"


def test_json_examples_are_json():
    """Each on one line, as on the wire."""
    examples = re.findall(r"\.\. code-block:: json\n\n   (.*)\n", PAGE)
    assert len(examples) > 8
    assert all(isinstance(json.loads(example), dict) for example in examples)
