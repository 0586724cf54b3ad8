"""How often something may be done."""

from __future__ import annotations

from django_jugpush.core.allowance import Allowance


def test_burst_is_allowed_at_once_and_the_rate_in_the_long_run():
    allowance = Allowance(rate=2, burst=3)
    assert [allowance.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [allowance.take(11.0) for _ in range(3)] == [True, True, False]


def test_nothing_is_saved_up_beyond_the_burst():
    allowance = Allowance(rate=2, burst=3)
    allowance.take(0.0)
    assert [allowance.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_refusals_cost_nothing():
    """Who asks all the time gets as much as who asks seldom."""
    allowance = Allowance(rate=1, burst=1)
    assert sum(allowance.take(tick / 100) for tick in range(1000)) == 10


def test_things_may_cost_more_than_one():
    """What is not there in full is not taken at all."""
    allowance = Allowance(rate=2, burst=10)
    assert [allowance.take(1.0, 4) for _ in range(3)] == [True, True, False]
    assert allowance.take(1.0, 2)
    assert not allowance.take(1.0)


def test_what_has_been_spent_is_owed():
    """Until it has come in again."""
    allowance = Allowance(rate=2, burst=10)
    allowance.charge(1.0, 14)
    assert [allowance.take(at, 0) for at in (1.0, 2.5, 3.0)] == [False, False, True]
