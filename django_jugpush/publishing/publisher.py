"""Publishing by hand: ``publish`` and its kin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import QuerySet

from django_jugpush.conf import get_namespace
from django_jugpush.core.publication import Publication
from django_jugpush.declarations import options_of
from django_jugpush.targets import Targets, channel_names

from . import batch, registry
from .causes import current_cause
from .delivery import get_broker, hand_over
from .encoding import encode, make_id
from .rows import Change, Event, deletion
from .suppression import is_suppressed

__all__ = ["apublish", "get_broker", "publish", "publish_changes"]


def publish(
    to: Targets,
    data: Any,
    *,
    exclude: str | Iterable[str] | None = None,
    on_commit: bool = True,
    using: str | None = None,
    raise_on_error: bool = False,
) -> str:
    """
    Publish ``data`` to everyone subscribed to ``to``; return the publication's id.

    Inside a transaction, delivery waits for the commit, and a rollback forgets it. ``data`` is encoded here and now, so
    what it holds may change afterwards. A broker that is away neither fails nor delays the caller.

    Args:
        to: A channel name, a model instance, a user, a declared channel, or several of them.
        data: Anything that Django writes as JSON.
        exclude: The id of a client that does not get it, usually the one that caused it; or several.
        on_commit: False publishes at once, inside a transaction too.
        using: The database whose transaction is waited for; by default ``default``.
        raise_on_error: Raise what the broker raises. After a commit there is nobody left to raise it to.

    Raises:
        InvalidChannel: If a name isn't a valid channel name.
        PayloadTooBig: If the encoded data exceeds ``MAX_MESSAGE_SIZE``.
        TypeError: If ``to`` is no target, ``data`` has no form in JSON, or ``exclude`` is no id and not several.
        ValueError: If ``data`` holds NaN or infinity, which JSON doesn't have.
    """
    publication_id, publications = _make_publications(to, data, exclude)
    _send(publications, on_commit, using, raise_on_error)
    return publication_id


async def apublish(
    to: Targets,
    data: Any,
    *,
    exclude: str | Iterable[str] | None = None,
    on_commit: bool = True,
    using: str | None = None,
    raise_on_error: bool = False,
) -> str:
    """
    Publish as :func:`publish` does, from a coroutine.

    It is handed over in the thread in which the ORM's own async methods run, so the transaction that counts is theirs.
    """
    publication_id, publications = _make_publications(to, data, exclude)
    await sync_to_async(_send)(publications, on_commit, using, raise_on_error)
    return publication_id


def publish_changes(queryset: QuerySet[Any], *, event: Event = "updated") -> None:
    """
    Publish rows as if each had been saved: for ``update()``, ``bulk_create()`` and the like, which send no signals.

    The primary keys are read here and now, so give a queryset that finds the rows after the change as well as before
    it; for ``event="deleted"`` call this before they are gone.

    Raises:
        LookupError: If the model is not registered.
        ValueError: If ``event`` is none.
    """
    if event not in get_args(Event):
        raise ValueError(f"{event!r} is no event: give created, updated or deleted.")
    bindings = registry.bindings_of(queryset.model)
    if not bindings:
        raise LookupError(f"{queryset.model._meta.label} is not registered with django_jugpush.register().")
    using = queryset._db or router.db_for_write(queryset.model, **queryset._hints)  # type: ignore[attr-defined]
    changes: list[Change] = []
    for binding in bindings:
        if is_suppressed(binding.concrete):
            continue
        if event == "deleted":
            changes += filter(None, (deletion(binding, obj) for obj in queryset.using(using)))
        else:
            pks = queryset.using(using).values_list(binding.pk_name, flat=True)
            changes += (Change(binding, pk, event) for pk in pks)
    if changes:
        batch.add(changes, using)


def _make_publications(
    to: Targets, data: Any, exclude: str | Iterable[str] | None
) -> tuple[str, tuple[Publication, ...]]:
    publication_id = make_id()
    encoded = encode(data)
    excluded = _client_ids(exclude)
    namespace = get_namespace()
    return publication_id, tuple(
        Publication(
            id=publication_id,
            channel=channel,
            namespace=namespace,
            data=encoded,
            exclude=excluded,
            **options_of(channel),
        )
        for channel in channel_names(to)
    )


def _client_ids(exclude: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return each id once, as plain text, with whose doing this is. The header that a request lacks excludes nobody."""
    if not (exclude is None or isinstance(exclude, Iterable)):
        raise TypeError(f"exclude takes a client's id or several, not {exclude!r}.")
    given = [exclude] if isinstance(exclude, str) else exclude or ()
    return tuple(dict.fromkeys(str.__str__(client) for client in [*given, current_cause()] if client))


def _send(publications: tuple[Publication, ...], on_commit: bool, using: str | None, raise_on_error: bool) -> None:
    if is_suppressed():
        return
    using = using or DEFAULT_DB_ALIAS
    if on_commit and batch.is_open(using):
        batch.add([publications], using)
    else:
        hand_over(publications, raise_on_error=raise_on_error)
