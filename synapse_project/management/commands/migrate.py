"""`manage.py migrate`: Django's command, run by one process at a time."""

from typing import Any

from django.core.management.commands import migrate

from core import database


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            # These options change nothing, so they need no lock.
            super().handle(*args, **options)
            return
        with database.hold_lock(self.stdout.write, database=options["database"]):
            super().handle(*args, **options)
