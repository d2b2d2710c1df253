"""`manage.py serve`: the web server alone."""

import contextlib
import os
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from synapse.runtime import supervisor
from synapse_project import startup, web_server


class Command(BaseCommand):
    help = "Run the web server. `up` starts it, with everything that it needs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help="processes that answer requests")
        parser.add_argument("--listener", type=int, help="descriptor of a socket that listens already (for workers)")

    def handle(self, *_: Any, workers: int, listener: int | None, **__: Any) -> None:
        is_started_by_up = supervisor.LIFELINE in os.environ
        supervisor.stop_with_parent()
        if listener is not None:
            startup.load_catalog(self.stderr.write)
            web_server.run(socket.socket(fileno=listener))
            return
        if not is_started_by_up:
            _refuse_unmigrated()
        if workers == 1:
            # Loaded before the server listens, so that no request waits for the database. Workers load their own
            # catalog.
            startup.load_catalog(self.stderr.write)
        try:
            opened = web_server.listen(settings.HOST, settings.PORT)
        except OSError as error:
            raise CommandError(f"cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror}") from None
        # Under `up`, that command prints the address.
        say = str if is_started_by_up else self._print
        if workers > 1:
            web_server.run_workers(opened, workers, self.stderr.write, say=say)
        else:
            web_server.run(opened, say=say)

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not prevent a clean stop
            self.stdout.write(line)
            self.stdout.flush()


def _refuse_unmigrated() -> None:
    """Raise if migrations are missing. Do nothing if the database is unavailable."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return
    finally:
        connection.close()
    if missing:
        raise CommandError(
            f"The database lacks {len(missing)} migration{'' if len(missing) == 1 else 's'}. "
            "Run `manage.py migrate` first, or `manage.py up`, which does it."
        )
