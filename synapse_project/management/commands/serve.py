"""`manage.py serve`: the web server alone."""

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from synapse_project import processes, web_server


class Command(BaseCommand):
    help = "Run the web server. `up` starts it, with everything that it needs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help="processes that answer requests")
        parser.add_argument("--listener", type=int, help="descriptor of a socket that listens already (for workers)")

    def handle(self, *_: Any, workers: int, listener: int | None, **__: Any) -> None:
        processes.stop_with_parent()
        if listener is not None:
            web_server.run(socket.socket(fileno=listener))
            return
        try:
            opened = web_server.listen(settings.HOST, settings.PORT)
        except OSError as error:
            raise CommandError(f"cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror}") from None
        if workers > 1:
            web_server.run_workers(opened, workers, self.stderr.write)
        else:
            web_server.run(opened)
