"""The messages to push servers, signed: whoever can publish on the same Redis must not be able to end logins."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec
from django.core import signing

from django_jugpush.conf import derived_keys, get_config, get_namespace
from django_jugpush.core.channels import full_name
from django_jugpush.core.control import CONTROL_CHANNEL, CONTROL_HISTORY, ControlMessage, Kind
from django_jugpush.core.publication import Publication

__all__ = ["control_channel", "make_control", "open_control"]

_VERSION = "1"


def control_channel() -> str:
    """Return the full name of the channel that all push servers of this project follow."""
    return full_name(get_config().NAMESPACE, CONTROL_CHANNEL)


def make_control(kind: Kind, **whom: Any) -> Publication:
    """Make a message for those who are in the namespace of this moment; ``whom`` is as :class:`ControlMessage` says."""
    message = ControlMessage(
        id=secrets.token_urlsafe(6), at=round(time.time(), 3), kind=kind, namespace=get_namespace(), **whom
    )
    payload = signing.b64_encode(msgspec.json.encode(message)).decode()
    return Publication(
        id=message.id,
        channel=CONTROL_CHANNEL,
        namespace=get_config().NAMESPACE,
        data=msgspec.Raw(msgspec.json.encode(_signer().sign(f"{_VERSION}.{payload}"))),
        history=CONTROL_HISTORY,
    )


def open_control(publication: Publication) -> ControlMessage | None:
    """Return the message that a publication holds; None if it is not signed by this project."""
    try:
        version, _, payload = _signer().unsign(msgspec.json.decode(bytes(publication.data), type=str)).partition(".")
        if version != _VERSION:
            return None
        return msgspec.json.decode(signing.b64_decode(payload.encode()), type=ControlMessage)
    except (signing.BadSignature, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _signer() -> signing.Signer:
    keys = derived_keys("control")
    return signing.Signer(key=keys[0], salt="jugpush.control", fallback_keys=list(keys[1:]))
