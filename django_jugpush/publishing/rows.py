"""Changes of rows become publications: merged for each row, read with one query for each model."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db.models import Model

from django_jugpush.conf import get_namespace
from django_jugpush.core.publication import Publication
from django_jugpush.declarations import options_of
from django_jugpush.exceptions import PayloadTooBig
from django_jugpush.targets import channel_names

from .bindings import Binding
from .causes import current_cause
from .encoding import encode, make_id

__all__ = ["STORM", "Change", "Event", "Item", "deletion", "saving", "to_publications"]

logger = logging.getLogger("django_jugpush.publishing")

Event = Literal["created", "updated", "deleted"]

STORM = 100
"""Rows that one transaction publishes to one channel; of more it only says that what subscribers have is stale."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a deleted row was: nothing can be asked of it afterwards."""

    channels: list[str]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a row. What the row has become is read later."""

    binding: Binding
    pk: Any
    event: Event
    snapshot: Snapshot | None = None
    namespace: str = field(default_factory=get_namespace)
    """Where it happened: with a database schema for each tenant, another tenant has other rows of the same keys."""
    cause: str | None = field(default_factory=current_cause)
    """The client whose doing it is."""


Item = Change | tuple[Publication, ...]
"""What waits for a commit: a change, or what one ``publish()`` has made."""


def deletion(binding: Binding, instance: Model) -> Change | None:
    """Return the change that deletes ``instance``, while it can still be asked; None if that fails."""
    try:
        snapshot = Snapshot(channel_names(binding.push.channels(instance)), binding.values(instance))
        return Change(binding, binding.pk_of(instance), "deleted", snapshot)
    except Exception:
        logger.exception("The deletion of %s %s is not published.", binding.label, instance.pk)
        return None


def saving(binding: Binding, instance: Model, *, created: bool) -> Change | None:
    """Return the change that saved ``instance``; None if that fails."""
    try:
        return Change(binding, binding.pk_of(instance), "created" if created else "updated")
    except Exception:
        logger.exception("The change of %s %s is not published.", binding.label, instance.pk)
        return None


def to_publications(items: Iterable[Item], using: str) -> list[Publication]:
    """
    Return what to publish, in order. A row that changed several times stands where it changed last.

    Whatever fails in the project's code is logged, and costs its own row only. A row that JSON has no form for makes
    its channels stale, and so do more rows than ``STORM`` for one channel.
    """
    merged = _merge(_here(items))
    rows = [item for item in merged if isinstance(item, _Row)]
    reader = _Reader(rows, using)
    publications: list[Publication] = []
    for item in merged:
        publications += reader.publications(item) if isinstance(item, _Row) else item
    reader.log_failures()
    return _calm(publications) if len(rows) > STORM else publications


def _here(items: Iterable[Item]) -> list[Item]:
    """Leave out changes of rows that cannot be read, as the namespace is another by the time of the commit."""
    items = list(items)
    namespaces = {item.namespace for item in items if isinstance(item, Change)}
    if not namespaces or namespaces == {here := get_namespace()}:
        return items
    kept = [item for item in items if not isinstance(item, Change) or item.namespace == here]
    logger.error(
        "%d changes are not published: they were made in %s and committed in %s, where there are other rows. Commit "
        "what was done in one tenant before going on to the next.",
        len(items) - len(kept),
        ", ".join(sorted(namespaces - {here})),
        here,
    )
    return kept


@dataclass(slots=True)
class _Row:
    """All that happened to a row."""

    binding: Binding
    pk: Any
    namespace: str
    is_new: bool
    cause: str | None
    """The client whose doing all of it is."""
    is_saved: bool = False
    snapshot: Snapshot | None = None

    def add(self, change: Change) -> None:
        if change.cause != self.cause:
            self.cause = None  # each has yet to see what the other did
        if change.event == "deleted":
            self.snapshot = change.snapshot
        else:
            self.is_saved = True

    def event(self, *, exists: bool) -> Event | None:
        """
        Say what it amounts to, given whether the row is there.

        Not all that was signalled need have happened: a savepoint that is made by hand takes back the rows, but not
        the callbacks. And what another process has done since, that process publishes.
        """
        if exists:
            return "created" if self.is_new else "updated" if self.is_saved else None
        return "deleted" if self.snapshot and not self.is_new else None


def _merge(items: Iterable[Item]) -> list[_Row | tuple[Publication, ...]]:
    merged: dict[object, _Row | tuple[Publication, ...]] = {}
    for item in items:
        if not isinstance(item, Change):
            merged[object()] = item
            continue
        key = item.binding, item.pk
        row = merged.pop(key, None)
        if not isinstance(row, _Row):
            row = _Row(item.binding, item.pk, item.namespace, item.event == "created", item.cause)
        row.add(item)
        merged[key] = row
    return list(merged.values())


class _Reader:
    """Reads the rows as they are after the commit, and says what to publish of them."""

    def __init__(self, rows: Iterable[_Row], using: str) -> None:
        self._using = using
        self._found: dict[Binding, dict[Any, Model]] = {}
        self._versions: dict[Binding, int] = {}
        self._failures: dict[Binding, list[tuple[Any, Exception]]] = defaultdict(list)
        pks: dict[Binding, list[Any]] = defaultdict(list)
        for row in rows:
            pks[row.binding].append(row.pk)
        for binding in pks:
            self._read(binding, pks[binding])

    def publications(self, row: _Row) -> list[Publication]:
        """Return what to publish of a row."""
        if row.binding not in self._found:
            return []
        obj = self._found[row.binding].get(row.pk)
        event = row.event(exists=obj is not None)
        try:
            return self._render(row, event, obj) if event else []
        except Exception as error:
            self._failures[row.binding].append((row.pk, error))
            return []

    def log_failures(self) -> None:
        """Log one failure of each model, with the number of the others: a mistake is made once and hits every row."""
        for binding, failures in self._failures.items():
            pk, error = failures[0]
            logger.error(
                "The change of %s %s is not published%s.",
                binding.label,
                pk,
                f", nor are {len(failures) - 1} others" if len(failures) > 1 else "",
                exc_info=error,
            )

    def _read(self, binding: Binding, pks: list[Any]) -> None:
        # Before the query: what is read is at least as new as its version says.
        self._versions[binding] = time.time_ns() // 1000
        try:
            self._found[binding] = binding.read(pks, self._using)
        except Exception:
            logger.exception("%d changes of %s are not published.", len(pks), binding.label)

    def _render(self, row: _Row, event: Event, obj: Model | None) -> list[Publication]:
        binding = row.binding
        if obj is None:
            assert row.snapshot  # or it would be no deletion
            channels, values = row.snapshot.channels, row.snapshot.values
        else:
            channels, values = channel_names(binding.push.channels(obj)), binding.values(obj)
        message = {"event": event, "model": binding.label, "pk": row.pk, "fields": values}
        common: dict[str, Any] = {
            "id": make_id(),
            "namespace": row.namespace,
            "version": self._versions[binding],
            "exclude": (row.cause,) if row.cause else (),
        }
        try:
            common["data"] = encode(message)
        except PayloadTooBig:
            common["stale"] = "size"
        except (TypeError, ValueError) as error:
            # Who refreshes does not need the message: only that there was one.
            common["stale"] = "gap"
            self._failures[binding].append((row.pk, error))
        return [Publication(channel=channel, **common, **options_of(channel)) for channel in channels]


def _calm(publications: Sequence[Publication]) -> list[Publication]:
    """Say of channels with too many rows only that they are stale, in the place of the last row."""
    rows_of: dict[str, list[Publication]] = defaultdict(list)
    for publication in publications:
        if publication.version is not None:  # it is of a row
            rows_of[publication.channel].append(publication)
    calm: list[Publication] = []
    for publication in publications:
        rows = rows_of[publication.channel] if publication.version is not None else []
        if len(rows) <= STORM:
            calm.append(publication)
        elif publication is rows[-1]:
            calm.append(_storm(rows))
    return calm


def _storm(rows: Sequence[Publication]) -> Publication:
    channel = rows[0].channel
    excludes = {row.exclude for row in rows}
    return Publication(
        id=make_id(),
        channel=channel,
        namespace=rows[0].namespace,
        exclude=excludes.pop() if len(excludes) == 1 else (),
        stale="storm",
        **options_of(channel),
    )
