from __future__ import annotations

import pytest

from tests.ports import free_port
from tests.runserver import conftest as processes

make_site = processes.make_site
migrated_project = processes.migrated_project
site = processes.site


class PushProcesses:
    """Runs ``manage.py juggernaut`` for a site."""

    def __init__(self, site):
        self.site = site

    def start(self, *arguments, port=None, ready=True, **environment):
        """Start one on a free port; wait until it is ready, or says why not."""
        port = port or free_port()
        server = self.site.start(
            ["manage.py", "juggernaut", "--port", str(port), *arguments], url=f"127.0.0.1:{port}", **environment
        )
        server.wait_for("Push: ready .*\n" if ready else "Push: not ready: .*\n")
        return server


@pytest.fixture
def push(site):
    return PushProcesses(site)
