"""
Every code that a browser can get: one closed table.

Error codes answer a command; disconnect codes end a connection. The numbers follow Centrifugo's where the meaning is
the same. WebSocket's own codes (RFC 6455, 7.4.1) can reach a client too: 1001, 1002, 1003, 1007, 1008, 1009 and 1011.
"""

from __future__ import annotations

import enum

__all__ = ["DisconnectCode", "ErrorCode"]


class ErrorCode(enum.IntEnum):
    """Why a command was refused. ``temporary`` tells a client that the same command may succeed later."""

    message: str
    temporary: bool

    def __new__(cls, value: int, message: str, temporary: bool = False) -> ErrorCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.message = message
        code.temporary = temporary
        return code

    INTERNAL = 100, "internal server error", True
    DENIED = 103, "permission denied"
    UNKNOWN_TYPE = 104, "unknown command type"
    ALREADY_SUBSCRIBED = 105, "already subscribed"
    LIMIT_EXCEEDED = 106, "limit exceeded"
    BAD_REQUEST = 107, "bad request"
    TOKEN_EXPIRED = 109, "token expired"
    REAUTHORIZE = 110, "ask again", True
    INVALID_JSON = 120, "not a JSON object"
    INVALID_CHANNEL = 121, "invalid channel name"
    IDENTITY_MISMATCH = 122, "token of another login"


class DisconnectCode(enum.IntEnum):
    """Why a connection was ended. 3000 to 3499: come back, with backoff. 3500 to 3999: do not."""

    message: str

    def __new__(cls, value: int, message: str) -> DisconnectCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.message = message
        return code

    @property
    def reconnect(self) -> bool:
        """Whether the client should connect again."""
        return self < 3500

    SHUTDOWN = 3001, "server is shutting down"
    INTERNAL = 3004, "internal server error"
    NOT_THE_SERVER = 3005, "another process is the push server"
    SLOW = 3008, "client reads too slowly"
    SENT_AWAY = 3011, "sent away"
    NO_PONG = 3012, "no sign of life"
    TOO_MANY_CONNECTIONS = 3014, "too many connections of one user"
    TOO_MANY_ERRORS = 3501, "too many bad commands"
    NOT_TEXT = 3502, "only text frames are understood"
    UNKNOWN_PROTOCOL = 3503, "protocol version not supported"
    TOO_MANY_COMMANDS = 3505, "too many commands"
    ORIGIN_DENIED = 3507, "origin not allowed"
    LOGIN_ENDED = 3510, "the login has ended"
