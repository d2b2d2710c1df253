"""`manage.py backup`: copies the data of a running installation."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from synapse_project import backup


class Command(BaseCommand):
    help = "Copy the events and the definitions of this installation into a new folder, while it runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="the folder to make; it must not exist yet")
        parser.add_argument("--only", choices=backup.PARTS, help="copy one of the two; copy Redis first")

    def handle(self, *_: Any, folder: Path, only: str | None, **__: Any) -> None:
        parts = backup.PARTS if only is None else (only,)
        try:
            backup.back_up(folder.absolute(), parts, self.stdout.write)
        except backup.BackupFailed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Backed up {' and '.join(parts)} in {folder}. It holds secrets: keep it where nobody reads it."
        )
