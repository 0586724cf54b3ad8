"""Ids of clients: of a tab, over all its connections."""

from __future__ import annotations

import re
import secrets

__all__ = ["is_client_id", "make_client_id"]

_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")


def is_client_id(text: str) -> bool:
    """Tell whether ``text`` may be the id of a client: 16 to 64 letters, digits, ``_`` or ``-``."""
    return _CLIENT_ID.fullmatch(text) is not None


def make_client_id() -> str:
    """Return an id for a client that has none."""
    return secrets.token_urlsafe(16)
