"""A short reign of chaos; ``make chaos SECONDS=600`` is a long one."""

from __future__ import annotations

import os
import random

import pytest

from tests.redis_server import running_redis

from .world import Memory, run

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))


@pytest.mark.processes
@pytest.mark.parametrize("memory", Memory, ids=lambda memory: memory.value)
def test_nobody_misses_anything_without_being_told(tmp_path, memory):
    """Whatever happens to clients, servers and Redis."""
    if memory is not Memory.LOCAL:
        with running_redis(tmp_path):
            pass  # skips where there is none
    print(f"CHAOS_SEED={SEED}")
    events = []
    try:
        outcome = run(
            tmp_path, seconds=5, seed=SEED, size=60, rate=60, memory=memory, pause=(0.1, 1), say=events.append
        )
    finally:
        print("\n".join(events), (tmp_path / "server.log").read_text(), sep="\n")
    assert not outcome.faults, str(outcome.faults)
    assert outcome.published > 100
    assert outcome.received > 1000
