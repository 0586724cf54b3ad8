"""Where Redis is, and what a channel is called there."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import redis
from redis.connection import parse_url

from django_jugpush.core.channels import split_name

__all__ = ["ChannelNames", "RedisNames", "read_url"]

_DATABASE = re.compile("/?[0-9]*")


def read_url(url: str) -> dict[str, Any]:
    """
    Return what a URL says, as redis-py understands it.

    Raises:
        ValueError: If it cannot be meant.
    """
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        # This, which connects to nothing, is what objects to options that there are not.
        redis.ConnectionPool.from_url(url).make_connection()
        is_understood = urlsplit(url).scheme == "unix" or _DATABASE.fullmatch(urlsplit(url).path) is not None
    except (ValueError, TypeError, redis.RedisError):
        is_understood = False
    if is_understood and "decode_responses" not in options:
        return options
    # Not what the exception says: if a password has a character that means something in a URL, it is quoted there.
    raise ValueError(
        "it is no URL of a Redis that can be understood; in a password, '/', '#', '?', '@' and '%' must be "
        "percent-encoded"
    )


class ChannelNames(NamedTuple):
    """What a channel is in Redis."""

    channel: str
    """The pub/sub channel."""

    meta: str
    """The key of what is known of the stream."""

    stream: str
    """The key of the stream."""


class RedisNames:
    """
    Turns channels into names in Redis that no other project, tenant or database can share.

    All begin with namespace and database: pub/sub knows no database numbers, and ACLs go by what a name begins with.
    """

    def __init__(self, url: str) -> None:
        self._database: int = read_url(url).get("db", 0)
        self.of: Callable[[str], ChannelNames] = lru_cache(maxsize=4096)(self._of)
        """Returns all names of the channel of a full name."""

    def channel(self, full_name: str) -> str:
        """Return the pub/sub channel of a channel."""
        return self.of(full_name).channel

    def control(self, namespace: str) -> str:
        """Return the pub/sub channel of what servers tell each other, where ``namespace`` is the setting."""
        return f"{namespace}:{self._database}:control"

    def memory(self, namespace: str) -> str:
        """Return the key of what is known of Redis's memory, where ``namespace`` is the setting."""
        return f"{namespace}:{self._database}:memory"

    def _of(self, full_name: str) -> ChannelNames:
        namespace, name = split_name(full_name)
        # Braces choose a cluster's hash slot, and the glob characters mean something to ACLs and PSUBSCRIBE.
        quoted = quote(name, safe=":/@.,;=+$!~&() ")
        start = f"{namespace}:{self._database}"
        return ChannelNames(f"{start}:c:{quoted}", f"{start}:m:{{{quoted}}}", f"{start}:s:{{{quoted}}}")
