#!/usr/bin/env python
"""Synapse's command line: `python manage.py help` lists the commands."""

import gc
import os
import platform
import sys

# A third of Django's start is loading the admin's pages. These commands do not need them.
WITHOUT_PAGES = ("up", "consume", "catalog")


def main() -> None:
    # Hardly anything that a start allocates is garbage, and collecting took a tenth of the time. `serve` and `consume`
    # set their own limits after loading.
    gc.set_threshold(100_000, 20, 100)
    if sys.platform == "win32":
        sys.exit("synapse: Windows cannot run this. Use WSL 2 (Linux in Windows), or the container: docker compose up.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
    try:
        import django  # noqa: PLC0415 - a missing venv is explained below
        from django.contrib import admin  # noqa: PLC0415
        from django.core.management import execute_from_command_line  # noqa: PLC0415
        from django.db import Error as DatabaseError  # noqa: PLC0415
    except ImportError:
        sys.exit("synapse: Django is not installed for this Python. Run `make install` and use .venv/bin/python.")
    from synapse_project import VERSION, installation  # noqa: PLC0415 - needs installed packages

    if "--version" in sys.argv[1:] or sys.argv[1:] == ["version"]:
        print(f"Synapse {VERSION} (Django {django.get_version()}, Python {platform.python_version()})")
        return
    installation.adopt(sys.argv, os.environ)
    if sys.argv[1:2] and sys.argv[1] in WITHOUT_PAGES:
        admin.autodiscover = lambda: None
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:  # Ctrl-C before the command set its own handler
        sys.exit(130)
    except DatabaseError as error:
        from core import database  # noqa: PLC0415 - needs the settings, which are loaded by now

        if "--traceback" in sys.argv:
            raise
        if database.lacks_tables(error):
            sys.exit(
                "synapse: The database lacks tables or columns. Run `manage.py migrate` first, or `manage.py up`, "
                f"which does it. ({error})"
            )
        if database.is_database_away(error):
            sys.exit(f"synapse: The database cannot be used now, and the command did not end: {error}")
        raise


if __name__ == "__main__":
    main()
