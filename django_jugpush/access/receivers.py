"""
What Django says of logins and rights, turned into messages to push servers.

Hard are a logout and the deletion of a user; everything else has whoever it concerns asked again. Nothing here is a
reason for a request to fail, so what goes wrong is logged.
"""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.db.models import Model, Q
from django.db.models.signals import m2m_changed, post_delete, post_init, post_save, pre_delete
from django.utils import timezone

from django_jugpush.conf import get_namespace

from . import revocation
from .logins import WATCHED_FIELDS, fingerprint, is_signed_in, login_id, stored_login

__all__ = ["ENDED", "connect"]

logger = logging.getLogger("django_jugpush.access")

MAX_MEMBERS = 10_000
"""With more members of a group, everybody is asked rather than each of them named."""

MAX_REMEMBERED = 10_000
"""Users whose fingerprint this process remembers to have told."""

ENDED = "_jugpush_ended"
"""The attribute of a request that holds the logins that are told to have ended."""

_SESSION_ENGINES = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")

_told: OrderedDict[tuple[str, Any], tuple[str, str]] = OrderedDict()
"""By namespace and primary key: the database, and the fingerprint that this process has told."""


def connect() -> None:
    """Listen. Called once, when the apps are ready."""
    try:
        user_model = get_user_model()
    except ImproperlyConfigured:  # the project has no users
        return
    _connect(user_logged_in, _on_login)
    _connect(user_logged_out, _on_logout)
    for model in apps.get_models(include_swapped=True):
        if issubclass(model, user_model):  # a save sends the signal for the class that was saved, be it a proxy
            _connect(post_save, _on_user_saved, model)
            _connect(post_init, _on_user_read, model)
            if model._meta.concrete_model is user_model._meta.concrete_model:
                _connect(pre_delete, _on_user_deleted, model)
    _connect_permissions(user_model)
    if apps.is_installed("django.contrib.sessions") and settings.SESSION_ENGINE in _SESSION_ENGINES:
        from django.contrib.sessions.models import Session

        _connect(post_delete, _on_session_deleted, Session)


def _connect(signal: Any, receiver: Callable[..., None], sender: Any = None) -> None:
    signal.connect(_guarded(receiver), sender=sender, weak=False, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _guarded(receiver: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(receiver)
    def guarded(sender: Any, **kwargs: Any) -> None:
        try:
            receiver(**kwargs)
        except Exception:
            logger.exception("Push servers are not told what %s noticed.", receiver.__name__)

    return guarded


# Logins


def _on_login(*, request: Any = None, user: Any = None, **kwargs: Any) -> None:
    session = getattr(request, "session", None)
    # Others send this signal without a login by the session, for instance when they hand out a token for an API.
    if session is None or user is None or not is_signed_in(session, user):
        return
    before = stored_login(session)
    login = login_id(session, user)
    if before and before[1] and before[0] != login:
        revocation.end_login(*before)


def _on_logout(*, request: Any = None, user: Any = None, **kwargs: Any) -> None:
    stored = stored_login(getattr(request, "session", {}))
    if stored and stored[1]:
        revocation.end_login(*stored)
        setattr(request, ENDED, {stored[0]})


def _on_session_deleted(*, instance: Any, using: str, **kwargs: Any) -> None:
    # Soft: this is a logout, but also a key that was changed for the same login. One that had expired is no news.
    if instance.expire_date <= timezone.now():
        return
    stored = stored_login(instance.get_decoded())
    if stored and stored[1]:
        revocation.reauthorize_login(*stored, using=using)


# Users


def _on_user_saved(
    *, instance: Any, created: bool, using: str, update_fields: Collection[str] | None, **kwargs: Any
) -> None:
    saved = set(WATCHED_FIELDS) & instance.__dict__.keys()  # a field that was not loaded was not saved
    if created or not (saved if update_fields is None else saved & set(update_fields)):
        return
    # Many a project saves the user with each request.
    key, now = (get_namespace(), instance.pk), (using, fingerprint(instance))
    if _told.get(key) == now:
        return
    revocation.tell_fingerprint(instance, using=using)
    if connections[using].in_atomic_block:
        transaction.on_commit(functools.partial(_remember, key, now), using=using, robust=True)
    else:
        _remember(key, now)


def _on_user_read(*, instance: Any, **kwargs: Any) -> None:
    """Forget what was told of a user whom somebody else has changed since: to change it back is news again."""
    if not _told:
        return
    try:
        key = get_namespace(), instance.pk
    except ImproperlyConfigured:  # outside of every tenant
        return
    if (told := _told.get(key)) is None:
        return
    fields = {field.attname for field in instance._meta.concrete_fields} & set(WATCHED_FIELDS)
    # Asking for one that is not loaded would read it.
    if fields <= instance.__dict__.keys() and told[1] != fingerprint(instance):
        _told.pop(key, None)


def _remember(key: tuple[str, Any], told: tuple[str, str]) -> None:
    _told.pop(key, None)
    _told[key] = told
    if len(_told) > MAX_REMEMBERED:
        _told.popitem(last=False)


def _on_user_deleted(*, instance: Any, using: str, **kwargs: Any) -> None:
    revocation.revoke_users([instance.pk], using=using)


# Groups and permissions


def _connect_permissions(user_model: Any) -> None:
    if not apps.is_installed("django.contrib.auth"):
        return
    from django.contrib.auth.models import Group, Permission, PermissionsMixin

    if not issubclass(user_model, PermissionsMixin):
        return
    for field in (user_model.groups, user_model.user_permissions):
        _connect(m2m_changed, _on_memberships_changed, field.through)
    _connect(m2m_changed, _on_group_permissions_changed, Group.permissions.through)
    _connect(pre_delete, _on_group_deleted, Group)
    _connect(pre_delete, _on_permission_deleted, Permission)


def _on_memberships_changed(
    *, instance: Any, action: str, reverse: bool, pk_set: Collection[Any] | None, using: str, **kwargs: Any
) -> None:
    """A user's groups or own permissions: seen from the user, or from the group or the permission."""
    if not _is_change(action, reverse, pk_set):
        return
    if not reverse:
        revocation.reauthorize_users([instance.pk], using=using)
    elif pk_set is None:
        _reauthorize(_holders(instance), using)
    else:
        revocation.reauthorize_users(pk_set, using=using)


def _on_group_permissions_changed(
    *, instance: Any, action: str, reverse: bool, pk_set: Collection[Any] | None, using: str, **kwargs: Any
) -> None:
    if not _is_change(action, reverse, pk_set):
        return
    if not reverse:
        _reauthorize(Q(groups=instance), using)
    elif pk_set is None:
        _reauthorize(Q(groups__permissions=instance), using)
    else:
        _reauthorize(Q(groups__in=pk_set), using)


def _is_change(action: str, reverse: bool, pk_set: Collection[Any] | None) -> bool:
    # What is cleared from the other side is read before; Django tells of what changes nothing, too.
    return action in ("post_add", "post_remove", "pre_clear" if reverse else "post_clear") and pk_set != set()


def _on_group_deleted(*, instance: Any, using: str, **kwargs: Any) -> None:
    _reauthorize(Q(groups=instance), using)


def _on_permission_deleted(*, instance: Any, using: str, **kwargs: Any) -> None:
    _reauthorize(Q(groups__permissions=instance) | Q(user_permissions=instance), using)


def _holders(instance: Model) -> Q:
    from django.contrib.auth.models import Group

    return Q(groups=instance) if isinstance(instance, Group) else Q(user_permissions=instance)


def _reauthorize(members: Q, using: str) -> None:
    """Have these users asked again; read at once, since after the change nobody knows who they were."""
    queryset = get_user_model()._base_manager.using(using).filter(members).order_by().distinct()
    keys = list(queryset.values_list("pk", flat=True)[: MAX_MEMBERS + 1])
    if len(keys) > MAX_MEMBERS:
        revocation.reauthorize()
    else:
        revocation.reauthorize_users(keys, using=using)
