"""
What a client sends, as commands, within the limits of what it may send.

What is above them is not even decoded: a client that floods the server gets a short answer, and soon the end.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .allowance import Allowance
from .codec import BadCommand, decode_command
from .codes import DisconnectCode, ErrorCode
from .commands import ClientEvent, Command, Meta
from .values import read_value

__all__ = ["MAX_BAD_COMMANDS", "MAX_EVENT_BYTES", "MAX_META_BYTES", "CommandReader"]

MAX_BAD_COMMANDS = 20
"""So many commands in a row that cannot be understood end a session."""

MAX_EXCESS = 20
"""So many commands in a row that are too many end a session."""

MAX_META_BYTES = 1024
"""The longest ``meta`` of a client, as JSON."""

MAX_EVENT_BYTES = 4096
"""The longest data of a client's event, as JSON."""

EVENT_RATE = 10.0
"""How many ``meta`` and ``event`` commands a client may send a second in the long run."""

EVENT_BURST = 50
"""How many it may send at once."""

COMMAND_RATE = 50.0
"""How many commands a client may send a second in the long run."""

COMMAND_BURST = 200
"""How many it may send at once, beside :data:`FAILED_TOKEN_COST` for each subscription that it may have."""

FAILED_TOKEN_COST = 10
"""How many commands one counts for whose token opens nothing. A page of before a change of keys may have only such."""

MESSAGES_PER_SECOND = 1
"""How many messages of the greatest length a client may send a second in the long run."""

MESSAGES_AT_ONCE = 32
"""How many of them at once, beside :data:`SUBSCRIBE_BYTES` for each subscription that it may have."""

SUBSCRIBE_BYTES = 2048
"""More than a ``subscribe`` takes, with the longest name, token and position."""

_EXCESS = BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail="too many commands in a short time")


class CommandReader:
    """
    Reads the messages of one client.

    Args:
        max_size: Bytes of one message.
        max_subscriptions: Channels that the client may ask for at once without meeting a limit.
    """

    __slots__ = ("_bad", "_bytes", "_commands", "_excess", "_max_size", "_values")

    def __init__(self, *, max_size: int, max_subscriptions: int) -> None:
        self._max_size = max_size
        self._commands = Allowance(rate=COMMAND_RATE, burst=COMMAND_BURST + FAILED_TOKEN_COST * max_subscriptions)
        self._bytes = Allowance(
            rate=MESSAGES_PER_SECOND * max_size,
            burst=MESSAGES_AT_ONCE * max_size + SUBSCRIBE_BYTES * max_subscriptions,
        )
        self._values: Allowance | None = None
        self._bad = 0
        self._excess = 0

    @property
    def verdict(self) -> DisconnectCode | None:
        """Why the client should be sent away after what it sent; None if it may go on."""
        if self._excess >= MAX_EXCESS:
            return DisconnectCode.TOO_MANY_COMMANDS
        return DisconnectCode.TOO_MANY_ERRORS if self._bad >= MAX_BAD_COMMANDS else None

    def read(self, data: bytes | str, now: float) -> Command | BadCommand:
        """Return the command that a message is, whatever it is; after one that is none, look at :attr:`verdict`."""
        if not (self._commands.take(now) and self._bytes.take(now, min(len(data), self._max_size))):
            self._excess += 1
            return _EXCESS
        self._excess = 0
        command = self._decode(data)
        self._bad = self._bad + 1 if isinstance(command, BadCommand) else 0
        return command

    def read_value(self, command: Meta | ClientEvent, now: float) -> Any | BadCommand:
        """Return what a command carries, unset if that is nothing; or why it is refused."""
        limit = MAX_META_BYTES if isinstance(command, Meta) else MAX_EVENT_BYTES
        text = bytes(command.data)
        if self._values is None:
            self._values = Allowance(rate=EVENT_RATE, burst=EVENT_BURST)
        if not self._values.take(now):
            return BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail="too many in a short time", id=command.id)
        if len(text) > limit:
            return BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail=f"more than {limit} bytes", id=command.id)
        if not text:
            return msgspec.UNSET
        try:
            return read_value(text.decode())
        except ValueError as error:
            return BadCommand(code=ErrorCode.BAD_REQUEST, detail=str(error)[:200], id=command.id)

    def charge_failed_token(self, now: float) -> None:
        """Let a command whose token opened nothing cost more than it did when it was read."""
        self._commands.charge(now, FAILED_TOKEN_COST - 1)

    def _decode(self, data: bytes | str) -> Command | BadCommand:
        # Most transports end such a connection by themselves, before they have read all of the message.
        if len(data) > self._max_size:
            return BadCommand(code=ErrorCode.LIMIT_EXCEEDED, detail="message too long")
        return decode_command(data)
