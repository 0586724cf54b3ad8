"""The pastebin's pages and what they publish."""

from __future__ import annotations
