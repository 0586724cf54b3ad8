"""A short reign of chaos; ``make chaos SECONDS=600`` is a long one."""

from __future__ import annotations

import os
import random

import pytest

from tests.redis_server import running_redis

from .world import run

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))


@pytest.mark.processes
@pytest.mark.parametrize("keeps_data", [True, False], ids=["Redis keeps its data", "Redis loses its data"])
def test_nobody_misses_anything_without_being_told(tmp_path, keeps_data):
    """Whatever happens to clients, servers and Redis; and while Redis keeps its data, nobody misses anything at all."""
    with running_redis(tmp_path):
        pass  # skips where there is none
    print(f"CHAOS_SEED={SEED}")
    events = []
    try:
        outcome = run(
            tmp_path, seconds=8, seed=SEED, size=60, rate=60, keeps_data=keeps_data, pause=(0.1, 1), say=events.append
        )
    finally:
        print("\n".join(events), (tmp_path / "server.log").read_text(), sep="\n")
    assert not outcome.faults, str(outcome.faults)
    assert outcome.published > 100
    assert outcome.received > 1000
    assert not (keeps_data and outcome.told)
