"""
One batch for each transaction: it leaves after the commit, in one round trip, or not at all.

Django runs what was given to ``on_commit`` in order and forgets what belongs to a savepoint that is rolled back, but
it has no hook for *after the last one*. So each entry rides in a callback of its own, which dies with its savepoint,
and is followed by a :class:`_Flush` that belongs to no savepoint; the newest of these sends what the entries before it
have gathered. The batch is found again through its callbacks: nothing else remembers it, so a rollback forgets it.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .delivery import hand_over
from .rows import Item, to_publications

__all__ = ["add", "entries", "is_open", "run"]

logger = logging.getLogger("django_jugpush.publishing")


def add(items: Sequence[Item], using: str) -> None:
    """Publish ``items`` when the open transaction of the database ``using`` commits; without one, at once."""
    if not is_open(using):
        _send(items, using)
        return
    connection = connections[using]
    batch = _open_batch(connection) or _Batch(using)
    transaction.on_commit(_Entry(batch, items), using=using, robust=True)
    batch.newest = _Flush(batch)
    connection.run_on_commit.append((set(), batch.newest, True))  # type: ignore[arg-type] # the stubs lag behind


def is_open(using: str) -> bool:
    """
    Tell whether there is a transaction that can be waited for.

    Nothing is asked of the database. So with autocommit off, where Django knows of no transaction, and on an event
    loop, where the database may not be asked, there is none.
    """
    return connections[using].in_atomic_block


class _Batch:
    def __init__(self, using: str) -> None:
        self.using = using
        self.ready: list[Item] = []
        self.newest: _Flush | None = None


class _Entry:
    """Puts its items into the batch, once: a test may run callbacks that an outer one runs again."""

    def __init__(self, batch: _Batch, items: Sequence[Item]) -> None:
        self.batch = batch
        self.items = items

    def __call__(self) -> None:
        self.batch.ready += self.items
        self.items = ()


class _Flush:
    """Sends the batch, if nothing came after it."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch

    def __call__(self) -> None:
        if self is self.batch.newest:
            items, self.batch.ready = self.batch.ready, []
            _send(items, self.batch.using)


def entries(connection: BaseDatabaseWrapper) -> set[object]:
    """Return the callbacks of ours that wait for the connection's commit."""
    return {function for _, function, *_ in connection.run_on_commit if isinstance(function, (_Entry, _Flush))}


def run(connection: BaseDatabaseWrapper, *, but: Container[object]) -> None:
    """Do what a commit would do, to our own callbacks only, and not to those in ``but``."""
    for _, function, *_ in list(connection.run_on_commit):
        if isinstance(function, (_Entry, _Flush)) and function not in but:
            function()


def _open_batch(connection: BaseDatabaseWrapper) -> _Batch | None:
    for _, function, *_ in reversed(connection.run_on_commit):
        if isinstance(function, _Flush):
            return function.batch
    return None


def _send(items: Sequence[Item], using: str) -> None:
    try:
        hand_over(to_publications(items, using))
    except Exception:  # what was to be told has happened, and the request has nothing to do with it
        logger.exception("What came of %d changes is not published.", len(items))
