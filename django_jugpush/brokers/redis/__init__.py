"""
The ``redis`` broker: any number of publishing processes and push servers, joined by one Redis.

A channel is a pub/sub channel, over which a publication is heard at once, and a stream, which has it for a while. One
script numbers a publication, keeps it and publishes it. A push server subscribes only to the channels that it has
listeners for; where it may have missed something it reads the stream.

redis-py's own retries are off on both sides. In Django they would hold a request for seconds, and run a publish twice
that had only been slow. On the server they reconnect in silence, so that nobody would know that something was missed.
"""

from __future__ import annotations

from .broker import RedisBroker
from .feed import FIRST_PAUSE, LONGEST_PAUSE, RedisFeed
from .names import RedisNames, read_url

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "RedisBroker", "RedisFeed", "RedisNames", "read_url"]
