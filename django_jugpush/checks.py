"""What ``manage.py check`` says. The ids are stable; ``docs/reference/checks.rst`` lists them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured
from django.db.models import Model
from django.utils.module_loading import import_string

from . import discovery
from .access.origins import names_no_origin
from .brokers import find_problems, is_redis
from .conf import Config, read_config
from .declarations import overlaps
from .publishing import registry
from .publishing.bindings import Binding

__all__ = ["TAG"]

TAG = "jugpush"
"""``manage.py check --tag jugpush`` runs these alone."""

# Apps whose runserver would take the place of ours. Others, such as WhiteNoise's, hand on to the next app's.
_RUNSERVERS = ("django.contrib.staticfiles", "daphne")


@register(TAG)
def check_setting(**kwargs: Any) -> list[CheckMessage]:
    """Say everything that is wrong with ``JUGPUSH``."""
    config, problems = read_config(getattr(settings, "JUGPUSH", {}))
    messages: list[CheckMessage] = [
        Error(problem.message, hint=problem.hint, id="jugpush.E002" if problem.known else "jugpush.E001")
        for problem in problems
    ]
    return [*messages, *_check_broker(config), *_check_callables(config)]


@register(TAG)
def check_app_order(**kwargs: Any) -> list[CheckMessage]:
    """Say if another app's ``runserver`` would be used."""
    earlier = []
    for app in apps.get_app_configs():
        if app.name == "django_jugpush":
            break
        if app.name in _RUNSERVERS:
            earlier.append(app.name)
    return [
        Error(
            f"'django_jugpush' stands after {name!r} in INSTALLED_APPS, whose runserver knows nothing of push.",
            hint="Make 'django_jugpush' the first entry of INSTALLED_APPS.",
            id="jugpush.E003",
        )
        for name in earlier
    ]


@register(TAG)
def check_push_modules(**kwargs: Any) -> list[CheckMessage]:
    """Say which ``push.py`` failed, and which did nothing."""
    failed: list[CheckMessage] = [
        Error(
            f"{failure.module} cannot be imported, so what it would publish is not published:\n{failure.last_lines}",
            hint=f"Mend the module. `manage.py shell -c 'import {failure.module}'` shows the whole traceback.",
            id="jugpush.E005",
        )
        for failure in discovery.failures
    ]
    return failed + [
        Warning(
            f"{module} registers nothing.",
            hint="Have it register() a ModelPush or declare a channel(), or remove it.",
            id="jugpush.W001",
        )
        for module in discovery.idle
    ]


@register(TAG)
def check_models(**kwargs: Any) -> list[CheckMessage]:
    """Say what is wrong with the registered models."""
    messages: list[CheckMessage] = [
        Error(
            f"{first.label} is registered twice: at {first.place} and at {second.place}.",
            hint=f"Keep one; its channels() can return the channels of both. Used is the one at {first.place}.",
            obj=second.model,
            id="jugpush.E004",
        )
        for first, second in registry.conflicts
    ]
    for binding in registry.bindings.values():
        messages += [*_check_fields(binding), *_check_relations(binding)]
    return messages


@register(TAG)
def check_channels(**kwargs: Any) -> list[CheckMessage]:
    """Say which patterns share a name."""
    return [
        Error(
            f"The channel patterns {first.pattern!r} and {second.pattern!r} both match {name!r}.",
            hint="Give them different beginnings, such as 'order:' and 'orders:'. While both match, both must allow.",
            id="jugpush.E007",
        )
        for first, second, name in overlaps()
    ]


@register(TAG)
def check_origins(**kwargs: Any) -> list[CheckMessage]:
    """Say if no page could connect."""
    if read_config(getattr(settings, "JUGPUSH", {}))[1] or not names_no_origin():
        return []
    return [
        Warning(
            "ALLOWED_HOSTS is ['*'], which names no page as the site's own, so the push server lets none connect.",
            hint="List the site's origins, such as 'https://www.example.com', in CSRF_TRUSTED_ORIGINS or in "
            "JUGPUSH['ALLOWED_ORIGINS'], or its hosts in ALLOWED_HOSTS.",
            id="jugpush.W002",
        )
    ]


@register(TAG, deploy=True)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Say what is well in development, but not in production."""
    config, _ = read_config(getattr(settings, "JUGPUSH", {}))
    return [
        *_check_production_broker(config),
        *_check_namespace(config),
        *_check_tenants(config),
        *_check_encryption(config),
    ]


def _check_production_broker(config: Config) -> Iterator[CheckMessage]:
    if config.BROKER is None and config.SERVER_URL is None:
        yield Warning(
            "JUGPUSH has no BROKER, so there can be one push server only: of several processes or workers all but one "
            "send clients away, and publications reach it from its own machine and user alone.",
            hint="Set JUGPUSH['BROKER'] to a Redis, such as 'redis://127.0.0.1:6379/0'. If one push server on the "
            "site's machine is what you mean, say so: JUGPUSH['SERVER_URL'] = 'http://127.0.0.1:8080/juggernaut/'.",
            id="jugpush.W003",
        )
    elif config.BROKER and config.BROKER.startswith("dummy:"):
        yield Error(
            f"JUGPUSH['BROKER'] is {config.BROKER!r}, which is for tests: nothing is ever sent.",
            hint="Set it to a Redis, such as 'redis://127.0.0.1:6379/0'.",
            id="jugpush.E008",
        )


def _check_namespace(config: Config) -> Iterator[CheckMessage]:
    if is_redis(config.BROKER) and config.NAMESPACE == Config().NAMESPACE:
        yield Warning(
            "JUGPUSH has no NAMESPACE of its own. Another project or stage on the same Redis that has none either "
            "would share its channels; of pub/sub, not even the database's number keeps strangers apart.",
            hint="Name the project and the stage: JUGPUSH['NAMESPACE'] = 'shop-production'.",
            id="jugpush.W004",
        )


def _check_tenants(config: Config) -> Iterator[CheckMessage]:
    installed = next((name for name in ("django_tenants", "tenant_schemas") if apps.is_installed(name)), None)
    if installed and not config.has_tenants:
        yield Warning(
            f"{installed} is installed, and JUGPUSH['NAMESPACE'] is the same for all tenants: 'user:1' of one is that "
            "of each other.",
            hint="Name a function that returns the tenant: JUGPUSH['NAMESPACE'] = 'shop.tenants.name'; see "
            "docs/howto/tenants.",
            id="jugpush.W005",
        )


def _check_encryption(config: Config) -> Iterator[CheckMessage]:
    if _is_plaintext(config.PUBLIC_URL):
        yield Error(
            f"JUGPUSH['PUBLIC_URL'] is {config.PUBLIC_URL!r}: tokens and publications travel unencrypted, and a page "
            "that came by HTTPS may not connect.",
            hint="Use https://, or a path such as '/juggernaut/' on the site's own origin.",
            id="jugpush.E009",
        )
    if config.SERVER_URL and config.BROKER is None and _is_plaintext(config.SERVER_URL):
        yield Error(
            f"JUGPUSH['SERVER_URL'] is {config.SERVER_URL!r}: publications travel signed, but unencrypted.",
            hint="Use https://, or the loopback; or set BROKER to a Redis, and publications no longer go that way.",
            id="jugpush.E010",
        )


def _is_plaintext(url: str) -> bool:
    """Tell whether what is sent to ``url`` leaves the machine unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "http" and not is_loopback


def _check_broker(config: Config) -> Iterator[CheckMessage]:
    for problem in find_problems(config):
        yield Error(
            f"JUGPUSH['BROKER'] cannot be used. {problem}",
            hint="Leave it out in development; see docs/reference/settings for the others.",
            id="jugpush.E002",
        )


def _check_callables(config: Config) -> Iterator[CheckMessage]:
    if config.USER_CHANNEL is not None and not _is_callable(config.USER_CHANNEL):
        yield Error(
            f"JUGPUSH['USER_CHANNEL'] names nothing callable: {config.USER_CHANNEL!r}.",
            hint="It must be the dotted path of a function that takes a user, such as 'shop.push.name_of_user'.",
            id="jugpush.E002",
        )
    if config.has_tenants and not _is_callable(config.NAMESPACE):
        yield Error(
            f"JUGPUSH['NAMESPACE'] names nothing callable: {config.NAMESPACE!r}.",
            hint="It must be the dotted path of a function without arguments, such as 'shop.tenants.name', or a name "
            "without a dot, such as 'shop-staging'.",
            id="jugpush.E002",
        )
    if config.IN_NAMESPACE is not None and not _is_callable(config.IN_NAMESPACE):
        yield Error(
            f"JUGPUSH['IN_NAMESPACE'] names nothing callable: {config.IN_NAMESPACE!r}.",
            hint="It must be the dotted path of a context manager that takes a namespace: 'shop.tenants.tenant'.",
            id="jugpush.E002",
        )


def _is_callable(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False


def _check_fields(binding: Binding) -> Iterator[CheckMessage]:
    push = type(binding.push)
    for option in ("fields", "select_related"):
        value = getattr(push, option)
        if isinstance(value, str):
            yield Error(
                f"{push.__qualname__}.{option} is text, not a list of names.",
                hint=f"Write {option} = [{value!r}].",
                obj=binding.model,
                id="jugpush.E006",
            )
    names = [] if isinstance(push.fields, str) else push.fields
    for name in names:
        if not _is_column(binding.model, name):
            yield Error(
                f"{push.__qualname__}.fields names {name!r}, which is no field with a column of {binding.label}.",
                hint=f"Name some of: {', '.join(field.name for field in binding.model._meta.concrete_fields)}.",
                obj=binding.model,
                id="jugpush.E006",
            )


def _check_relations(binding: Binding) -> Iterator[CheckMessage]:
    push = type(binding.push)
    if not push.select_related or isinstance(push.select_related, str):
        return
    queryset = binding.model._base_manager.select_related(*push.select_related)
    try:
        queryset.query.get_compiler(using=queryset.db).as_sql()
    except FieldError as error:
        yield Error(
            f"{push.__qualname__}.select_related cannot be followed, so no change of {binding.label} is published: "
            f"{error}",
            hint=f"Name foreign keys and one-to-one relations of {binding.label}, and with __ those of their models.",
            obj=binding.model,
            id="jugpush.E006",
        )
    except ImproperlyConfigured:  # there is no default database to write SQL for
        return


def _is_column(model: type[Model], name: str) -> bool:
    try:
        return model._meta.get_field(name) in model._meta.concrete_fields
    except FieldDoesNotExist:
        return False
