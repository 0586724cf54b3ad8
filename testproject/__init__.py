"""A small pastebin that uses django-jugpush: the demo, the docs' example, the site of the end-to-end tests."""

from __future__ import annotations
