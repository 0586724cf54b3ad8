"""The one reader of settings: ``JUGPUSH`` becomes a frozen :class:`Config`, once, and again on ``setting_changed``."""

from __future__ import annotations

import difflib
import functools
import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

__all__ = [
    "Config",
    "Problem",
    "SecretURL",
    "derived_keys",
    "get_config",
    "get_namespace",
    "is_namespace",
    "read_config",
    "read_history",
]

MAX_HISTORY_SECONDS = 30 * 24 * 3600
"""Seconds for which Redis knows at least that a channel had a publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``settings.JUGPUSH`` with every default filled in. The keys are documented in ``docs/reference/settings.rst``."""

    BROKER: str | None = None
    """URL of the broker; its scheme picks the backend. None: straight to the push server, by HTTP."""

    PUBLIC_URL: str = "/juggernaut/"
    """Where browsers reach the push server: a path on the site's own origin, or a whole URL. Ends with a slash."""

    SERVER_URL: str | None = None
    """Where Django reaches the push server when there is no Redis. None: found by itself. Ends with a slash."""

    NAMESPACE: str = "jugpush"
    """Names this project among those that share keys or a Redis; or the path of a callable that names tenants."""

    IN_NAMESPACE: str | None = None
    """Dotted path of a context manager that takes a namespace, in which the push server works for that tenant."""

    USER_CHANNEL: str | None = None
    """Dotted path of a callable that takes a user and returns the part of the name that follows ``user:``."""

    ALLOWED_ORIGINS: tuple[str, ...] = ()
    """Origins that may connect, beside those that ``ALLOWED_HOSTS`` and ``CSRF_TRUSTED_ORIGINS`` allow."""

    REQUIRE_ORIGIN: bool = False
    """Whether programs that are no browsers, and so send no ``Origin``, are kept out."""

    PUBLISH_FROM: tuple[str, ...] = ()
    """Networks, beside the loopback, from which the publish endpoint takes signed publications."""

    HISTORY: tuple[int, float] = (100, 300.0)
    """How many publications of a channel are kept, and how many seconds after the newest."""

    REFRESH_RATE: int = 50
    """How many pages ask the site again per second, when all those that one push server serves have a reason to."""

    MAX_MESSAGE_SIZE: int = 65_536
    """Bytes of a publication's data, written as JSON, and of a client's message."""

    MAX_SUBSCRIPTIONS: int = 100
    """Channels that one connection may be subscribed to."""

    MAX_CHANNELS: int = 100_000
    """Channels that all connections of one push server together may be subscribed to."""

    MAX_CONNECTIONS: int | None = None
    """Connections of one push server. None: as many as it may have open files, less 200."""

    MAX_CONNECTIONS_PER_ADDRESS: int | None = 1000
    """Connections of one client address to one push server; of IPv6, of one /64. None: any number."""

    MAX_CONNECTIONS_PER_USER: int | None = 100
    """Connections of one signed-in user to one push server. None: any number."""

    MAX_PENDING: int = 1_048_576
    """Bytes that may wait for a client that reads slowly."""

    PING_INTERVAL: float = 25.0
    """Seconds between heartbeats."""

    LEGACY_CHANNEL: str | None = "juggernaut"
    """The Redis channel to which programs publish as in 2011; those that tell of clients begin with it."""

    CLIENT_EVENTS: Literal["granted", "public"] = "granted"
    """Which clients may send events: those with a subscription that is not public, or all that are connected."""

    @property
    def mount_path(self) -> str:
        """The path of ``PUBLIC_URL``: under it lies everything that the push server answers."""
        return urlsplit(self.PUBLIC_URL).path

    @property
    def has_tenants(self) -> bool:
        """Whether ``NAMESPACE`` is the path of a callable, so that it is not the same at all times."""
        return "." in self.NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with the setting."""

    key: str | None
    """The key; None if the setting as a whole is wrong."""

    known: bool = True
    """Whether there is such a key."""

    message: str
    hint: str


@functools.cache
def get_config() -> Config:
    """
    Return the project's configuration.

    Raises:
        ImproperlyConfigured: If ``JUGPUSH`` is not a dict, has an unknown key, or a value that cannot be meant.
    """
    config, problems = read_config(getattr(settings, "JUGPUSH", {}))
    if problems:
        raise ImproperlyConfigured(" ".join(f"{problem.message} {problem.hint}" for problem in problems))
    return config


def read_config(setting: object) -> tuple[Config, list[Problem]]:
    """Turn the setting into a :class:`Config`, and say what is wrong with it; a wrong value leaves the default."""
    if not isinstance(setting, Mapping):
        return Config(), [
            Problem(key=None, message=f"JUGPUSH is {_shown(setting)}, not a dict.", hint="Write JUGPUSH = {}.")
        ]
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in setting.items():
        if key not in _READERS:
            problems.append(_unknown(key))
            continue
        try:
            values[key] = _READERS[key](value)
        except ValueError as error:
            message = f"JUGPUSH[{key!r}] is {_shown(value)}."
            problems.append(Problem(key=key, message=message, hint=f"It must be {error}."))
    return Config(**values), problems


def get_namespace() -> str:
    """
    Return the namespace of this moment: ``NAMESPACE``, or what the callable that it names returns.

    Raises:
        ImproperlyConfigured: If there is no such callable, or it returns something else than it should.
    """
    config = get_config()
    if not config.has_tenants:
        return config.NAMESPACE
    try:
        function = import_string(config.NAMESPACE)
    except ImportError as error:
        raise ImproperlyConfigured(f"JUGPUSH['NAMESPACE'] cannot be imported: {error}.") from error
    namespace = function()
    if not is_namespace(namespace):
        raise ImproperlyConfigured(f"{config.NAMESPACE}() returned {namespace!r}. It must return {_NAMESPACE_RULE}.")
    return str.__str__(namespace)


def is_namespace(value: object) -> bool:
    """Tell whether ``value`` is text that can be a namespace."""
    return isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z_-]{1,64}", value) is not None


_NAMESPACE_RULE = "1 to 64 letters, digits, hyphens or underscores"


def derived_keys(purpose: str) -> tuple[bytes, ...]:
    """
    Return one key of 32 bytes for each of ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.

    The first signs, all verify. Each is good for one purpose in one ``NAMESPACE``, which here is the setting
    itself, and tells nothing of its origin.
    """
    message = f"django_jugpush\0{get_config().NAMESPACE}\0{purpose}".encode()
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return tuple(
        hmac.digest(secret if isinstance(secret, bytes) else secret.encode(), message, "sha256") for secret in secrets
    )


def _unknown(key: object) -> Problem:
    nearest = difflib.get_close_matches(str(key).upper(), _READERS, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"The keys are {', '.join(_READERS)}."
    return Problem(key=str(key), known=False, message=f"JUGPUSH has the unknown key {key!r}.", hint=hint)


class SecretURL(str):
    """A broker's URL. It may hold a password, so its ``repr()``, which tracebacks and reports show, holds none."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.masked())

    def masked(self) -> str:
        """Return what may be shown: scheme, host, port and path, if nothing else can be meant by them."""
        if ":" not in self:
            return str(self)  # a dotted path
        if match := _SHOWABLE_URL.fullmatch(self):
            return f"{match[1]}{'***@' if match[2] else ''}{match[3]}{'?***' if match[4] else ''}"
        return f"{self.partition(':')[0][:20]}:***"


_SHOWABLE_URL = re.compile(r"([\w+.-]+://)(.*@)?((?:[\w.-]+|\[[\w.:]+\])?(?::[0-9]+)?(?:/[\w./-]*)?)(\?.*)?", re.DOTALL)


def _shown(value: object) -> str:
    text = re.sub(r"//.*@", "//***@", repr(value), flags=re.DOTALL)  # a broker's URL may hold a password
    return text if len(text) <= 100 else f"{text[:100]}…"


# Each reader takes what the project wrote and returns what Config holds. Its ValueError completes "It must be …".


def _url_or_none(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        return SecretURL(value)
    raise ValueError("a URL such as 'dummy://', the dotted path of a broker's class, or None")


def _public_url(value: object) -> str:
    parts = _split(value)
    if parts and not (parts.query or parts.fragment):
        is_path = not parts.scheme and parts.path.startswith("/")
        if is_path or (parts.scheme in ("http", "https") and parts.hostname):
            return _with_slash(value)
    raise ValueError("a path such as '/juggernaut/' or a URL such as 'https://push.example.com/'")


def _server_url(value: object) -> str | None:
    if value is None:
        return None
    parts = _split(value)
    if parts and parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment):
        return _with_slash(value)
    raise ValueError("a URL such as 'http://127.0.0.1:8080/juggernaut/', or None")


def _namespace(value: object) -> str:
    if isinstance(value, str) and (is_namespace(value) or _is_path(value)):
        return value
    raise ValueError(f"{_NAMESPACE_RULE}, or the dotted path of a callable that returns them")


def _path_or_none(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _is_path(value)):
        return value
    raise ValueError("the dotted path of a callable, such as 'shop.push.name_of_user', or None")


def _origins(value: object) -> tuple[str, ...]:
    return _texts(value, _is_origin, "a list of origins such as 'https://www.example.com' or 'https://*.example.com'")


def _networks(value: object) -> tuple[str, ...]:
    return _texts(value, _is_network, "a list of addresses or networks such as '10.0.0.0/8'")


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("a whole number greater than 0")


def _size_or_none(value: object) -> int | None:
    if value is None:
        return None
    try:
        return _size(value)
    except ValueError:
        raise ValueError("a whole number greater than 0, or None") from None


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("True or False")


def read_history(value: object) -> tuple[int, float]:
    """
    Return how many publications are kept, and for how many seconds.

    Raises:
        ValueError: If ``value`` is no such pair; its text completes "It must be …".
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        length, seconds = value
        is_length = isinstance(length, int) and not isinstance(length, bool) and 0 <= length <= 100_000
        if is_length and (kept := _seconds(seconds)) <= MAX_HISTORY_SECONDS:
            return length, kept
    raise ValueError(
        "a pair: how many publications, 0 to 100000, and for how many seconds, more than 0 and at most "
        f"{MAX_HISTORY_SECONDS} (30 days)"
    )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise ValueError("a number of seconds greater than 0")


def _texts(value: object, is_meant: Callable[[str], bool], expected: str) -> tuple[str, ...]:
    if isinstance(value, (list, tuple, set, frozenset)) and all(
        isinstance(item, str) and is_meant(item) for item in value
    ):
        return tuple(value)
    raise ValueError(expected)


def _is_path(text: str) -> bool:
    return re.fullmatch(r"\w+(\.\w+)+", text) is not None


def _is_origin(text: str) -> bool:
    parts = _split(text)
    if text == "null":
        return True
    return bool(parts and parts.scheme and parts.hostname and text == f"{parts.scheme}://{parts.netloc}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _split(value: object) -> SplitResult | None:
    if not isinstance(value, str) or value != value.strip() or value.startswith("//"):
        return None
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        return None
    return parts


def _with_slash(url: object) -> str:
    return f"{str(url).rstrip('/')}/"


def _legacy_channel(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[!-~]{1,100}", value)):
        return value
    raise ValueError("1 to 100 ASCII characters without spaces, or None")


def _client_events(value: object) -> str:
    if value in ("granted", "public"):
        return str(value)
    raise ValueError("'granted' or 'public'")


_READERS: dict[str, Callable[[object], Any]] = {
    "BROKER": _url_or_none,
    "PUBLIC_URL": _public_url,
    "SERVER_URL": _server_url,
    "NAMESPACE": _namespace,
    "IN_NAMESPACE": _path_or_none,
    "USER_CHANNEL": _path_or_none,
    "ALLOWED_ORIGINS": _origins,
    "REQUIRE_ORIGIN": _yes_or_no,
    "PUBLISH_FROM": _networks,
    "HISTORY": read_history,
    "REFRESH_RATE": _size,
    "MAX_MESSAGE_SIZE": _size,
    "MAX_SUBSCRIPTIONS": _size,
    "MAX_CHANNELS": _size,
    "MAX_CONNECTIONS": _size_or_none,
    "MAX_CONNECTIONS_PER_ADDRESS": _size_or_none,
    "MAX_CONNECTIONS_PER_USER": _size_or_none,
    "MAX_PENDING": _size,
    "PING_INTERVAL": _seconds,
    "LEGACY_CHANNEL": _legacy_channel,
    "CLIENT_EVENTS": _client_events,
}
assert list(_READERS) == [field.name for field in fields(Config)]


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "JUGPUSH":
        get_config.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_jugpush.conf")
