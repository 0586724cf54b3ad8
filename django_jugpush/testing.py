"""
For a project's own tests: what was published, without a server and without a socket.

Under Django's test runner nothing leaves the process anyway. :func:`capture_publications` shows what would have;
:class:`PublicationAssertions` does so for each test of a class.
"""

from __future__ import annotations

import difflib
import json
import unittest
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import ANY

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .brokers.base import Broker
from .core.control import CONTROL_CHANNEL
from .core.publication import Publication, StaleReason
from .publishing import batch
from .publishing.delivery import use_broker
from .publishing.encoding import encode
from .targets import Targets, channel_names

__all__ = ["Captured", "PublicationAssertions", "Record", "capture_publications"]


@dataclass(frozen=True, slots=True)
class Record:
    """A publication, as a subscriber would get it."""

    channel: str
    data: Any
    exclude: tuple[str, ...]
    stale: StaleReason | None
    id: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.channel}: {f'stale ({self.stale})' if self.stale else _shown(self.data)}"


class Captured(list[Record]):
    """What was published, in order: a list with two assertions."""

    def __init__(self, commit: Callable[[], None]) -> None:
        super().__init__()
        self._commit = commit

    def assertPublished(self, to: Targets, data: Any = ANY, *, times: int | None = None) -> None:
        """
        Assert that something was published to ``to``: to each, if it is several.

        Args:
            to: What ``publish()`` takes.
            data: What was published, compared as JSON: a ``Decimal`` equals its text.
            times: How often; by default at least once.
        """
        self._commit()
        for channel in channel_names(to):
            found = self._find(channel, data)
            if (len(found) != times) if times is not None else not found:
                raise AssertionError(self._explain(channel, data, times, len(found)))

    def assertNotPublished(self, to: Targets | None = None, data: Any = ANY) -> None:
        """Assert that nothing, or not this data, was published to ``to``; without an argument, to no channel."""
        self._commit()
        channels = [record.channel for record in self] if to is None else channel_names(to)
        for channel in channels:
            if found := self._find(channel, data):
                raise AssertionError("\n".join(["Published, but should not be:", *_lines(found)]))

    def _find(self, channel: str, data: Any) -> list[Record]:
        expected = _as_json(data)
        return [record for record in self if record.channel == channel and (data is ANY or expected == record.data)]

    def _explain(self, channel: str, data: Any, times: int | None, found: int) -> str:
        wanted = "" if data is ANY else f"\n{_shown(_as_json(data))}"
        often = "" if times is None else f" {times} times, but {found} times"
        lines = [f"Not published to {channel!r}{often}:{wanted}" if wanted or often else f"Nothing for {channel!r}."]
        same_channel = [record for record in self if record.channel == channel]
        if data is not ANY and len(same_channel) == 1 and not found:
            lines += ["Published was, to the same channel:", *_difference(_as_json(data), same_channel[0].data)]
        else:
            lines += ["Published was:", *_lines(self)] if self else ["Nothing was published at all."]
        return "\n".join(lines)


class capture_publications:
    """
    Give a list of what is published meanwhile, complete at the end; nothing of it leaves the process.

    Inside a ``TestCase``, whose transaction never commits, publications that wait for a commit are let go at the end,
    and before each assertion; other ``on_commit`` callbacks are not run. In a coroutine use ``async with``: the
    transaction is the business of another thread there.
    """

    def __enter__(self) -> Captured:
        # What was done before, to set up the test, is not looked at.
        self._earlier = {function for connection in connections.all() for function in batch.entries(connection)}
        captured = Captured(self._commit)
        self._substitution = use_broker(_Recorder(captured))
        self._substitution.__enter__()
        return captured

    def __exit__(self, error_type: type[BaseException] | None, *details: object) -> None:
        try:
            if error_type is None:
                self._commit()
        finally:
            self._substitution.__exit__(None, None, None)

    async def __aenter__(self) -> Captured:
        return await sync_to_async(self.__enter__)()

    async def __aexit__(self, *details: Any) -> None:
        await sync_to_async(self.__exit__)(*details)

    def _commit(self) -> None:
        for connection in connections.all():
            if _is_committed_but_for_the_test(connection):
                batch.run(connection, but=self._earlier)


class PublicationAssertions(unittest.TestCase):
    """
    For a ``TestCase``: captures what each test publishes, from ``setUp()`` on.

    What the test's class publishes in ``setUpTestData()`` is not captured.
    """

    publications: Captured
    """What was published so far."""

    def setUp(self) -> None:
        """Begin to capture."""
        super().setUp()
        self.publications = self.enterContext(capture_publications())

    def assertPublished(self, to: Targets, data: Any = ANY, *, times: int | None = None) -> None:
        """Assert as :meth:`Captured.assertPublished` does."""
        self.publications.assertPublished(to, data, times=times)

    def assertNotPublished(self, to: Targets | None = None, data: Any = ANY) -> None:
        """Assert as :meth:`Captured.assertNotPublished` does."""
        self.publications.assertNotPublished(to, data)


class _Recorder(Broker):
    def __init__(self, captured: Captured) -> None:
        self._captured = captured

    def publish(self, publications: Sequence[Publication]) -> None:
        self._captured += [
            Record(
                channel=publication.channel,
                data=json.loads(bytes(publication.data)),
                exclude=publication.exclude,
                stale=publication.stale,
                id=publication.id,
                namespace=publication.namespace,
            )
            for publication in publications
            if publication.channel != CONTROL_CHANNEL
        ]


def _is_committed_but_for_the_test(connection: BaseDatabaseWrapper) -> bool:
    # A block that the test itself has open is not yet committed, whatever is around it.
    blocks = connection.atomic_blocks
    return bool(blocks) and getattr(blocks[-1], "_from_testcase", False)


def _as_json(data: Any) -> Any:
    try:
        return json.loads(bytes(encode(data)))
    except TypeError:  # it holds ANY, or the like
        return data


def _shown(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, default=repr)


def _lines(records: Sequence[Record]) -> list[str]:
    return [f"- {record}" for record in records]


def _difference(expected: Any, actual: Any) -> list[str]:
    return [
        line.rstrip()
        for line in difflib.ndiff(_shown(expected).splitlines(), _shown(actual).splitlines())
        if not line.startswith("?")
    ]
