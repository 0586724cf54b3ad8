"""Paste a text, reply to it, and see the replies of others as they come."""

from __future__ import annotations
