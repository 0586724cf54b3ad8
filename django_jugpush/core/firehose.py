"""
The firehose of 2011: whoever may publish to one channel of a Redis can publish to any channel of the project.

A message is ``{"channels": ["news"], "data": …, "except": …}``, from any language. It comes from a writer that nobody
has checked, so a publication is built of it that holds a channel, data and whom to exclude, and of no other key
anything: it can never be taken for a word of the protocol. Names that only objects may have are refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from django_jugpush.exceptions import InvalidChannel

from .channels import MAX_NAME_BYTES, check_name, is_reserved
from .publication import Publication
from .values import read_value, write_value

__all__ = ["MAX_CHANNELS", "Firehose", "read_message"]

logger = logging.getLogger(__name__)

MAX_CHANNELS = 1000
"""Names in one message."""


class Firehose:
    """Turns messages into publications. What it cannot use it mentions in the log, at most once a second."""

    def __init__(
        self, *, namespace: str = "", max_size: int = 65_536, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._namespace = namespace
        self._max_size = max_size
        self._clock = clock
        self._logged_at = float("-inf")
        self._unmentioned = 0

    def receive(self, message: bytes) -> list[Publication]:
        """Return what ``message`` publishes; nothing if it makes no sense."""
        publications, complaint = read_message(message, namespace=self._namespace, max_size=self._max_size)
        if complaint:
            self._complain(complaint)
        return publications

    def _complain(self, complaint: str) -> None:
        now = self._clock()
        if now - self._logged_at < 1:
            self._unmentioned += 1
            return
        more = f" ({self._unmentioned} more like it were not mentioned.)" if self._unmentioned else ""
        logger.warning("Something published to the firehose was not delivered: %s.%s", complaint, more)
        self._logged_at = now
        self._unmentioned = 0


def read_message(message: bytes, *, namespace: str = "", max_size: int) -> tuple[list[Publication], str]:
    """
    Return what a message publishes, in the order of its channels, and what is wrong with it; "" if nothing is.

    Never raises, whatever the message. ``max_size`` is that of the data, in bytes.
    """
    if len(message) > max_size + MAX_CHANNELS * MAX_NAME_BYTES:
        return [], "it is too long"
    try:
        # As in 2011, a byte that is no UTF-8 costs a character, not the message.
        outline = read_value(message.decode("utf-8", "replace"))
        if not isinstance(outline, dict):
            return [], "it is not a JSON object"
        data = write_value(outline.get("data"))
    except ValueError as error:
        return [], f"it cannot be read: {str(error)[:100]}"
    if len(data) > max_size:
        return [], f"its data takes {len(data)} bytes, more than MAX_MESSAGE_SIZE"
    names, complaint = _read_channels(outline)
    exclude = _read_exclude(outline.get("except"))
    return [
        Publication(id="", channel=name, namespace=namespace, data=msgspec.Raw(data), exclude=exclude) for name in names
    ], complaint


def _read_channels(outline: dict[str, object]) -> tuple[list[str], str]:
    given = outline.get("channels")
    if not given and given != []:  # an empty list counted for something in JavaScript
        given = outline.get("channel")
    candidates = [given] if isinstance(given, str) else given
    if not isinstance(candidates, list) or not candidates:
        return [], "it names no channel"
    if len(candidates) > MAX_CHANNELS:
        return [], f"it names more than {MAX_CHANNELS} channels"
    names: dict[str, None] = {}  # in order, each once
    complaint = ""
    for candidate in candidates:
        if fault := _fault_of(candidate):
            complaint = fault
        else:
            names[candidate] = None
    return list(names), complaint


def _fault_of(name: object) -> str:
    if not isinstance(name, str):
        return f"{repr(name)[:100]} is not a channel name"
    if is_reserved(name):
        return f"{name[:100]!r} is in a namespace that is reserved"
    try:
        check_name(name)
    except InvalidChannel as error:
        return str(error).removesuffix(".")
    return ""


def _read_exclude(given: object) -> tuple[str, ...]:
    candidates = given if isinstance(given, list) else [given]
    return tuple(candidate for candidate in candidates if isinstance(candidate, str) and candidate)
