"""Changes of rows become publications: merged for each row, read with one query for each model."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.db.models import Model

from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import PayloadTooBig
from django_jugpush.targets import channel_names

from .bindings import Binding
from .encoding import encode, make_id

__all__ = ["Change", "Event", "Item", "deletion", "to_publications"]

logger = logging.getLogger("django_jugpush.publishing")

Event = Literal["created", "updated", "deleted"]


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


Item = Change | tuple[Publication, ...]
"""What waits for a commit: a change, or what one ``publish()`` has made."""

# What two changes of a row amount to, where it is not just the later one.
_MERGED: dict[tuple[Event, Event], Event | None] = {
    ("created", "updated"): "created",
    ("created", "deleted"): None,
    ("deleted", "created"): "updated",
    ("deleted", "updated"): "updated",
}


def deletion(binding: Binding, instance: Model) -> Change | None:
    """Return the change that deletes ``instance``, while it can still be asked; None if that fails."""
    try:
        snapshot = Snapshot(channel_names(binding.push.channels(instance)), binding.values(instance))
        return Change(binding, binding.pk_of(instance), "deleted", snapshot)
    except Exception:
        logger.exception("The deletion of %s %s is not published.", binding.label, instance.pk)
        return None


def to_publications(items: Iterable[Item], using: str) -> list[Publication]:
    """
    Return what to publish, in order. A row that changed several times stands where it changed last.

    Whatever fails in the project's code is logged, and costs its own row only.
    """
    merged = _merge(items)
    rows = _Rows([item for item in merged if isinstance(item, Change)], using)
    publications: list[Publication] = []
    for item in merged:
        publications += rows.publications(item) if isinstance(item, Change) else item
    rows.log_failures()
    return publications


def _merge(items: Iterable[Item]) -> list[Item]:
    merged: dict[object, Item] = {}
    for item in items:
        if not isinstance(item, Change):
            merged[object()] = item
            continue
        key = item.binding, item.pk
        before = merged.pop(key, None)
        event = _MERGED.get((before.event, item.event), item.event) if isinstance(before, Change) else item.event
        if event:
            merged[key] = replace(item, event=event)
    return list(merged.values())


class _Rows:
    """The rows that changed, as they are after the commit."""

    def __init__(self, changes: Sequence[Change], using: str) -> None:
        self._using = using
        self._found: dict[Binding, dict[Any, Model]] = {}
        self._versions: dict[Binding, int] = {}
        self._failures: dict[Binding, list[tuple[Any, Exception]]] = defaultdict(list)
        pks: dict[Binding, list[Any]] = defaultdict(list)
        for change in changes:
            pks[change.binding].append(change.pk)
        for binding in pks:
            self._read(binding, pks[binding])

    def publications(self, change: Change) -> list[Publication]:
        """Return what to publish of a change: nothing, if the row tells that it did not happen."""
        if change.binding not in self._found:
            return []
        obj = self._found[change.binding].get(change.pk)
        # A savepoint that is made by hand takes the row back, but not the signal.
        if (obj is None) is not (change.event == "deleted"):
            return []
        try:
            return self._render(change, obj)
        except Exception as error:
            self._failures[change.binding].append((change.pk, error))
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

    def _render(self, change: Change, obj: Model | None) -> list[Publication]:
        binding = change.binding
        if obj is None:
            assert change.snapshot  # only deletions are published without a row
            channels, values = change.snapshot.channels, change.snapshot.values
        else:
            channels, values = channel_names(binding.push.channels(obj)), binding.values(obj)
        message = {"event": change.event, "model": binding.label, "pk": change.pk, "fields": values}
        common: dict[str, Any] = {"id": make_id(), "version": self._versions[binding]}
        try:
            common["data"] = encode(message)
        except PayloadTooBig:
            common["stale"] = "size"
        return [Publication(channel=channel, **common) for channel in channels]
