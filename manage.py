#!/usr/bin/env python
"""Synapse's command line: `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - a missing venv is explained below
    except ImportError:
        sys.exit("synapse: Django is not installed for this Python. Run `make install` and use .venv/bin/python.")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:  # Ctrl-C before the command could say what it does then
        sys.exit(130)


if __name__ == "__main__":
    main()
