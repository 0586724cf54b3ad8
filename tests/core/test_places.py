"""Places are evenly spread, whoever comes and goes."""

from __future__ import annotations

import random

import pytest

from django_jugpush.core.places import Places


@pytest.fixture
def places():
    return Places()


def fullest(places, who, parts):
    """Return how many more than its share are in the fullest of the equal parts of 0 to 1."""
    counts = [0] * parts
    for one in who:
        counts[int(places[one] * parts) % parts] += 1
    return max(counts) / (len(who) / parts)


def test_place_is_a_part(places):
    for who in range(1000):
        places.take(who)
    assert all(0 <= places[who] <= 1 for who in range(1000))
    assert len({places[who] for who in range(1000)}) == 1000


@pytest.mark.parametrize("size", [500, 5_000, 7_919, 50_000])
def test_seconds_of_fifty_have_fifty(places, size):
    """Where chance would put half as many again into one of them."""
    for who in range(size):
        places.take(who)
    assert fullest(places, range(size), size // 50) < 1.1


@pytest.mark.parametrize("step", range(2, 12))
def test_regular_parts_are_even_too(places, step):
    """Such as every second one, where each visitor has two tabs."""
    for who in range(5_000 * step):
        places.take(who)
    assert fullest(places, range(0, 5_000 * step, step), 100) < 1.2


def test_who_comes_takes_the_place_of_who_has_gone(places):
    """After a day of coming and going, the places are as even as in the morning."""
    chance = random.Random(7)
    here = list(range(5_000))
    for who in here:
        places.take(who)
    for newcomer in range(5_000, 50_000):
        index = chance.randrange(5_000)
        places.give_back(here[index])
        here[index] = newcomer
        places.take(newcomer)
    assert fullest(places, here, 100) < 1.1


def test_servers_do_not_begin_together():
    firsts = []
    for _ in range(100):
        places = Places()
        places.take("first")
        firsts.append(places["first"])
    assert len(set(firsts)) == 100
