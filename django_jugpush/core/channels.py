"""Channel names: what may be one, and which are reserved. Patterns are in :mod:`django_jugpush.access.channels`."""

from __future__ import annotations

import unicodedata

from django_jugpush.exceptions import InvalidChannel

__all__ = ["MAX_NAME_BYTES", "RESERVED_NAMESPACES", "check_name", "full_name", "is_reserved", "split_name"]

MAX_NAME_BYTES = 200
"""The longest channel name, in bytes of UTF-8."""

RESERVED_NAMESPACES = frozenset({"jugpush", "presence", "session", "user"})
"""What stands before the first colon of names that are only ever built from objects, never taken from text."""

# Control, format (which holds bidi overrides), lone surrogates, line and paragraph separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_name(name: str) -> str:
    """
    Return ``name`` if it is a channel name: 1 to 200 bytes of UTF-8 in NFC, without control or format characters.

    Raises:
        InvalidChannel: If it is not.
    """
    if not name:
        raise InvalidChannel(name, "it is empty")
    if len(name) > MAX_NAME_BYTES:  # before encoding: a name may be megabytes long
        raise InvalidChannel(name, f"it is longer than {MAX_NAME_BYTES} bytes")
    if name.isascii():
        if not name.isprintable():
            raise InvalidChannel(name, "it has a control character")
        return name
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in name):
        raise InvalidChannel(name, "it has a control or format character")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidChannel(name, f"it is longer than {MAX_NAME_BYTES} bytes")
    if not unicodedata.is_normalized("NFC", name):
        raise InvalidChannel(name, "it is not in Unicode's normal form C")
    return name


def full_name(namespace: str, channel: str) -> str:
    """Return what stands for a channel inside the push server, where several projects, sites or tenants may meet."""
    return f"{namespace}:{channel}"


def split_name(full: str) -> tuple[str, str]:
    """Return the namespace, which has no colon, and the channel."""
    namespace, _, channel = full.partition(":")
    return namespace, channel


def is_reserved(name: str) -> bool:
    """Tell whether ``name`` is in a namespace where only objects may put names, such as ``user:42``."""
    namespace, colon, _ = name.partition(":")
    return bool(colon) and namespace in RESERVED_NAMESPACES
