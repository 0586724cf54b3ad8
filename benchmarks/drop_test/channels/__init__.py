"""A project that uses Django Channels, as its documentation has it. It runs in an environment of its own."""

from __future__ import annotations
