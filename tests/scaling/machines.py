"""Web servers that share a PostgreSQL and a Redis and nothing else, as on machines of their own."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from synapse_project.environment import SETTINGS
from tests.patience import eventually
from tests.ports import free_port

# Machines that share a database share it.
SECRET = secrets.token_urlsafe(48)

ROOT = Path(__file__).parents[2]
# In one process: what takes time is the start.
PREPARE = """
import sys
import django
from django.contrib import admin
admin.autodiscover = lambda: None
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("catalog", "apply", sys.argv[1], verbosity=0)
call_command("issue_key", "warden", "--scope", "keys:write", "--scope", "registry:read", "--scope", "registry:write")
"""
CATALOG = """
streams:
  - name: orders
    event_types:
      - {name: order-placed, schema: {type: object, properties: {n: {type: integer}}}}
services:
  - {name: warden, publishes: [{stream: orders}], subscribes: [{stream: orders}]}
  - {name: shop, publishes: [{stream: orders}], subscribes: [{stream: orders}]}
"""


class Machines:
    """What the web servers share, and how one is started. `others` are more variables of their environment."""

    def __init__(
        self, folder: Path, *, database: str, redis: str, program: Sequence[str] = ("manage.py", "serve"), **others: str
    ) -> None:
        self._folder = folder
        self._program = program
        # What all of them have to say, from ERROR on.
        self.log = folder / "log"
        # The process of each web server, by its URL.
        self.running: dict[str, int] = {}
        self._shared = {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "SECRET_KEY": SECRET,
            "SYNAPSE_LOG_LEVEL": "ERROR",
            "SYNAPSE_REDIS_TIMEOUT": "30000",
            **others,
        }
        catalog = folder / "catalog.yaml"
        catalog.write_text(CATALOG)
        self.warden = self._run("-c", PREPARE, str(catalog)).strip().splitlines()[-1]

    def manage(self, *words: str) -> str:
        """Run a management command beside the servers; return its output."""
        return self._run("manage.py", *words)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start a management command beside the servers."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self._variables("first"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _run(self, *words: str) -> str:
        variables = self._variables("first")
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=variables, check=True, capture_output=True, text=True
        )
        return done.stdout

    @contextmanager
    def serving(self, *options: Sequence[str]) -> Iterator[list[str]]:
        """Run a web server with each of the options, on a machine of its own, for as long as the block lasts.

        Gives their URLs.
        """
        self.running.clear()
        processes = [self.start(f"machine-{nth}", words) for nth, words in enumerate(options)]
        try:
            for url in self.running:
                eventually(lambda url=url: _is_healthy(url), despite=httpx.HTTPError)
            yield list(self.running)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=60)

    def start(self, name: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a web server in the data folder of this name."""
        port = free_port()
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, *self._program, *options],
                cwd=ROOT,
                env=self._variables(name) | {"PORT": str(port)},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.running[f"http://127.0.0.1:{port}"] = process.pid
        return process

    def _variables(self, name: str) -> dict[str, str]:
        ours = {setting.name for setting in SETTINGS}
        passed = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in ours}
        own = {"DJANGO_SETTINGS_MODULE": "synapse_project.settings", "SYNAPSE_VAR": str(self._folder / name)}
        return {**passed, **own, **self._shared}


def workers_of(server: int) -> list[int]:
    """Return the processes that a web server with several workers has started."""
    rows = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    pattern = rf"\s*(\d+)\s+{server}\s.*manage\.py serve --listener"
    return [int(found[1]) for row in rows.splitlines() if (found := re.match(pattern, row))]


def _is_healthy(url: str) -> bool:
    return httpx.get(f"{url}/health").status_code == 200
