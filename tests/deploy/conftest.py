"""The production stack in the place of ``runserver``; the windows are those of ``tests/e2e``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import USERS, open_window

from .stack import ProductionSite

__all__ = ["open_window"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/deploy/" in item.path.as_posix() and "site" in item.fixturenames:
            item.add_marker(pytest.mark.processes)
            if "browser" in item.fixturenames:
                item.add_marker(pytest.mark.chromium)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[ProductionSite]:
    """The pastebin with three users, ann, bob and cem, deployed as docs/howto/deploy.rst says."""
    site = ProductionSite(tmp_path_factory.mktemp("production"))
    try:
        site.prepare(USERS)
        site.start()
        yield site
    finally:
        site.close()
