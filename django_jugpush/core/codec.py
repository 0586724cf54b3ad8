"""
Between the wire and values.

Whatever a client sends comes out of :func:`decode_command` as a value, never as an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import msgspec

from .codes import ErrorCode
from .commands import Command, Delivery, Reply, Stale
from .publication import Publication

__all__ = ["BadCommand", "decode_command", "encode", "encode_publication"]

_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_encoder = msgspec.json.Encoder()

_TYPES = frozenset(str(word.__struct_config__.tag) for word in get_args(Command))


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCommand:
    """What stands in for a command that could not be understood."""

    code: ErrorCode
    detail: str
    id: int | None = None


class _Outline(msgspec.Struct, frozen=True):
    """As much of a command as can be read whatever else is wrong with it."""

    type: object = None
    id: object = None


_outline_decoder = msgspec.json.Decoder(_Outline)


def decode_command(data: bytes | str) -> Command | BadCommand:
    """Turn what a client sent into a command, or into the code of the answer that it deserves."""
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        return _explain(data, _cut(error))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return BadCommand(code=ErrorCode.INVALID_JSON, detail=_cut(error))


def encode(reply: Reply) -> bytes:
    """Turn a reply into one line of JSON."""
    return _encoder.encode(reply)


def encode_publication(publication: Publication, *, spread: int | None) -> bytes:
    """
    Turn a publication into one line of JSON.

    ``Publication.data`` may come from anywhere, and one broken byte would end the connection of every browser that
    gets it, so it is looked at here, once for all of them.

    Raises:
        UnicodeError: If the data is not UTF-8.
        msgspec.DecodeError: If the data has line breaks and is not JSON.
    """
    position = str(publication.position) if publication.position else None
    if publication.stale:
        return encode(
            Stale(channel=publication.channel, reason=publication.stale, spread=spread or 0, position=position)
        )
    return encode(
        Delivery(
            channel=publication.channel,
            data=_one_line(publication.data),
            position=position,
            version=publication.version,
            spread=spread,
        )
    )


def _explain(data: bytes | str, detail: str) -> BadCommand:
    try:
        outline = _outline_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return BadCommand(code=ErrorCode.INVALID_JSON, detail=detail)
    is_unknown = isinstance(outline.type, str) and outline.type not in _TYPES
    return BadCommand(
        code=ErrorCode.UNKNOWN_TYPE if is_unknown else ErrorCode.BAD_REQUEST,
        detail=detail,
        id=outline.id if type(outline.id) is int and 0 < outline.id < 2**53 else None,
    )


def _cut(error: Exception) -> str:
    # msgspec quotes what it did not expect, however long.
    return str(error)[:200]


def _one_line(data: msgspec.Raw) -> msgspec.Raw:
    text = bytes(data)
    text.decode()
    if b"\n" in text or b"\r" in text:
        return msgspec.Raw(msgspec.json.format(text, indent=-1))
    return data
