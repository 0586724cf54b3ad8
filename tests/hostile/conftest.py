from __future__ import annotations

from tests.commands import conftest as commands

make_site = commands.make_site
migrated_project = commands.migrated_project
push = commands.push
site = commands.site
