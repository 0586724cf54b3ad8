"""The pastebin as its visitors meet it: ``manage.py runserver`` in a process of its own, and Chromium."""

from __future__ import annotations
