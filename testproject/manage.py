"""Django's command-line utility, for the pastebin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # In place of this directory, so that each module of the site has one name: testproject.something.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
