"""A short run of what ``make fuzz`` does at length, and whether it would notice."""

from __future__ import annotations

import pytest

from django_jugpush.core import codec
from django_jugpush.server import frames
from fuzz.run import TARGETS, Broken, fuzz

INPUTS = {"frames": 3_000, "http": 1_000}

SEED = 2011


@pytest.mark.parametrize("target", TARGETS)
def test_contract_holds(target):
    """Whatever comes is accepted, or answered with a documented code, in time; and the memory comes back."""
    assert fuzz(target, inputs=INPUTS.get(target, 5_000), seed=SEED).inputs >= INPUTS.get(target, 5_000)


def test_exception_would_be_noticed(monkeypatch):
    """One that a deeply nested command raises."""

    class Naive:
        def decode(self, data):
            if str(data).count("[") > 100:
                raise RuntimeError("nobody thought of that")
            return decoder.decode(data)

    decoder = codec._decoder
    monkeypatch.setattr(codec, "_decoder", Naive())
    with pytest.raises(Broken, match="nobody thought of that"):
        fuzz("commands", inputs=20_000, seed=SEED)


def test_fault_of_the_server_would_be_noticed(monkeypatch):
    """A traceback in its log, though the client only sees that it is disconnected."""

    def handle_ping(self):
        raise KeyError("a fault")

    monkeypatch.setattr(frames.BoundedProtocol, "handle_ping", handle_ping)
    with pytest.raises(Broken, match="a fault"):
        fuzz("frames", inputs=3_000, seed=SEED)
