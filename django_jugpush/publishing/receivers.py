"""Listens to the signals of registered models, and of no others: a suite without publications pays nothing."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import post_save, pre_delete, pre_save

from . import batch
from .bindings import Binding
from .rows import deletion, saving
from .suppression import is_suppressed

__all__ = ["TellRights", "connect", "disconnect", "tell_rights_by"]

logger = logging.getLogger("django_jugpush.publishing")

TellRights = Callable[[Iterable[Any], str], None]
"""Takes what ``ModelPush.revokes()`` returned, and the database whose commit is waited for."""

_tell_rights: TellRights | None = None


def connect(binding: Binding) -> None:
    """
    Listen to saves and deletions of the binding's model.

    Django sends ``post_save`` for the class that was saved, be it a proxy or a model that inherits from this one, and
    the deletion signals for each parent too.
    """
    uid = "django_jugpush", binding.label
    for sender in _senders(binding):
        if binding.has_rights:
            pre_save.connect(functools.partial(_before_save, binding), sender, weak=False, dispatch_uid=uid)
        post_save.connect(functools.partial(_on_save, binding), sender, weak=False, dispatch_uid=uid)
        if sender._meta.concrete_model is binding.concrete:
            # Not post_delete: what the row refers to may be gone by then.
            pre_delete.connect(functools.partial(_on_delete, binding), sender, weak=False, dispatch_uid=uid)


def disconnect(binding: Binding) -> None:
    """Stop listening."""
    uid = "django_jugpush", binding.label
    for sender in _senders(binding):
        pre_save.disconnect(sender=sender, dispatch_uid=uid)
        post_save.disconnect(sender=sender, dispatch_uid=uid)
        pre_delete.disconnect(sender=sender, dispatch_uid=uid)


def tell_rights_by(tell: TellRights) -> None:
    """Take what is called with those whose rights may have ended."""
    global _tell_rights
    _tell_rights = tell


def _before_save(binding: Binding, *, instance: Model, raw: bool, using: str, **kwargs: Any) -> None:
    if not (raw or instance._state.adding):
        for before in binding.read([binding.pk_of(instance)], using).values():
            _revoke(binding, before, using)


def _revoke(binding: Binding, instance: Model, using: str) -> None:
    if not (binding.has_rights and _tell_rights):
        return
    try:
        _tell_rights(binding.push.revokes(instance), using)
    except Exception:
        logger.exception("%s.revokes() failed, so push servers are told nothing.", type(binding.push).__name__)


def _on_save(binding: Binding, *, instance: Model, created: bool, raw: bool, using: str, **kwargs: Any) -> None:
    if not raw:
        _revoke(binding, instance, using)
    # A fixture is loaded in any order, so the rows that channels() follows may be missing.
    if raw or is_suppressed(binding.concrete):
        return
    if change := saving(binding, instance, created=created):
        batch.add([change], using)


def _on_delete(binding: Binding, *, instance: Model, using: str, **kwargs: Any) -> None:
    _revoke(binding, instance, using)
    if not is_suppressed(binding.concrete) and (change := deletion(binding, instance)):
        batch.add([change], using)


def _senders(binding: Binding) -> Iterator[type[Model]]:
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        if issubclass(model, binding.concrete):
            yield model
