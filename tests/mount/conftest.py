from __future__ import annotations

from tests.runserver import conftest as processes

make_site = processes.make_site
migrated_project = processes.migrated_project
site = processes.site
