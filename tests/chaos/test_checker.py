"""The checker finds what is put in on purpose, and nothing else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .checker import STALE, check

ALL = list(range(1, 11))


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 3))
def test_honest_record_has_no_faults(gap_at, length, seed):
    """Whatever is lost is told of where it is missing; what is uncertain may be there or not."""
    lost = range(gap_at + 1, gap_at + 1 + length)
    record = [number for number in ALL if number not in lost]
    record.insert(sum(number <= gap_at for number in record), STALE)
    maybe = set(random.Random(seed).sample(ALL, 3))
    record = [entry for entry in record if entry not in maybe or entry % 2]
    assert not check(record, certain=set(ALL) - maybe, uncertain=maybe, losses=1)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ([1, 2, 4, 5, 6, 7, 8, 9, 10], "missing"),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], "missing"),
        ([2, 3, 4, 5, 6, 7, 8, 9, 10], "missing"),
        ([], "missing"),
        ([1, 2, 3, STALE, 4, 6, 7, 8, 9, 10], "missing"),
        ([1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10], "doubled"),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4], "doubled"),
        ([1, 2, 3, 4, 5, STALE, 7, 6, 8, 9, 10], "swapped"),
        ([1, 2, 4, 3, 5, 6, 7, 8, 9, 10], "swapped"),
        ([*ALL, 11], "untrue"),
        ([1, 2, STALE, 3, STALE, 4, 5, 6, 7, 8, 9, 10], "untrue"),
    ],
)
def test_fault_is_found(record, kind):
    """A loss, a duplicate, a swap, and one word too many."""
    assert getattr(check(record, certain=ALL, losses=1), kind)


def test_gap_that_is_told_of_though_nothing_was_lost_is_a_fault():
    assert check([*ALL[:5], STALE, *ALL[5:]], certain=ALL).untrue


def test_loss_is_told_of_at_the_end_as_well():
    assert not check([1, 2, STALE], certain=ALL, losses=1)
