"""The end-to-end tests of the browser, unchanged, against the production stack."""

from __future__ import annotations

from tests.e2e.test_pastebin import *  # noqa: F403
