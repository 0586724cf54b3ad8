"""The checker finds what is put in on purpose, and nothing else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .checker import STALE, Newest, check, check_pace

ALL = list(range(1, 11))


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 3))
def test_honest_record_has_no_faults(gap_at, length, seed):
    """Whatever is lost is told of where it is missing; what is uncertain may be there or not; what excludes is not."""
    lost = range(gap_at + 1, gap_at + 1 + length)
    record = [number for number in ALL if number not in lost]
    record.insert(sum(number <= gap_at for number in record), STALE)
    maybe, excluded = set(random.Random(seed).sample(ALL, 3)), set(random.Random(-seed).sample(ALL, 2))
    record = [entry for entry in record if entry not in excluded and (entry not in maybe or entry % 2)]
    certain = set(ALL) - maybe - excluded
    assert not check(record, certain=certain, uncertain=maybe - excluded, excluded=excluded, losses=1)


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
        ([1, 2, STALE, STALE, 5, 6, 7, 8, 9, 10], "untrue"),
        ([*ALL, STALE, STALE], "untrue"),
    ],
)
def test_fault_is_found(record, kind):
    """A loss, a duplicate, a swap, and one word too many."""
    assert getattr(check(record, certain=ALL, losses=1), kind)


def test_gap_that_is_told_of_though_nothing_was_lost_is_a_fault():
    assert check([*ALL[:5], STALE, *ALL[5:]], certain=ALL).untrue


def test_loss_is_told_of_at_the_end_as_well():
    assert not check([1, 2, STALE], certain=ALL, losses=1)


@pytest.mark.parametrize(
    ("record", "is_fault"),
    [
        ([1, 2, STALE, 6, 7, 8, 9, 10], False),
        ([1, 2, STALE, STALE, 9, 10], False),
        ([1, 2, 3, 4, 5, 6, 7, STALE], False),
        ([1, 2, STALE, 5, 6, 7, 8, 9, 10], True),
        ([1, 2, STALE, STALE, 8, 9, 10], True),
        ([1, 2, STALE, 5, 6, 7, STALE], True),
        ([*ALL[:8], STALE], True),
    ],
)
def test_gap_is_told_of_only_to_who_missed_more_than_the_history_has(record, is_fault):
    """Which is two here. What came for others, or may have come, counts as well."""
    faults = check(record, certain={*ALL} - {3, 9}, uncertain={3, 9}, history=2)
    assert bool(faults.untrue) is is_fault and not faults.missing
    faults = check([one for one in record if one not in (3, 9)], certain={*ALL} - {3, 9}, excluded={3, 9}, history=2)
    assert bool(faults.untrue) is is_fault and not faults.missing


def test_publication_that_excludes_the_client_must_not_come():
    assert not check([1, 2, 4], certain=[1, 2, 4], excluded=[3])
    assert check([1, 2, 3, 4], certain=[1, 2, 4], excluded=[3]).intruding


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ([1, 4, 10], None),
        ([1, STALE, 10], None),
        ([10], None),
        ([1, 4, 9], "missing"),
        ([], "missing"),
        ([1, 10, 4], "swapped"),
        ([1, 4, 4, 10], "doubled"),
    ],
)
def test_where_there_is_a_pace_the_last_must_come(record, kind):
    """And those between may be left out."""
    faults = check(record, certain=ALL, losses=1, is_paced=True)
    assert getattr(faults, kind) if kind else not faults


def test_page_gets_what_came_since_it_was_there():
    """And, if it is over, not all of that."""
    assert not check([7, 8, 9, 10], certain=ALL, after=6)
    assert not check([5, 6, 7, 8, 9, 10], certain=ALL, after=6)
    assert check([8, 9, 10], certain=ALL, after=6).missing
    assert check([7, 8], certain=ALL, after=6).missing
    assert not check([7, 8], certain=ALL, after=6, is_over=True)
    assert check([7, 9], certain=ALL, after=6, is_over=True).missing
    assert check([7, 8, STALE], certain=ALL, after=6, is_over=True).untrue


@pytest.mark.parametrize(
    ("record", "is_fault"),
    [
        ([6, Newest(6), *ALL[6:]], False),
        ([7, Newest(6), *ALL[7:]], False),
        ([Newest(0), *ALL[6:]], False),
        ([Newest(6), *ALL[6:]], True),
        ([5, Newest(6), *ALL[5:]], True),
    ],
)
def test_newest_must_be_there_when_a_subscription_begins(record, is_fault):
    assert bool(check(record, certain=ALL, after=6).missing) is is_fault


def test_more_than_the_pace_allows_is_found():
    """But for those that come when a subscription begins, or are pushed on."""
    assert not check_pace([0, 0.1, 0.2, 1, 2, 3], max_rate=1)
    assert not check_pace([0, 5.1, 5.1, 5.1], max_rate=1)  # a client that read nothing for a while
    assert check_pace([0, 0.1, 0.2, 0.3], max_rate=1).hasty
    assert not check_pace([0, 0.1, 0.2, None, 0.3, None, 0.4], max_rate=1)
    assert check_pace([0, 0.1, 0.2, None, 0.3, 0.4], max_rate=1).hasty
    assert check_pace([0.5 * number for number in range(20)], max_rate=1).hasty
