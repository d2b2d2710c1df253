"""An installation of the bridges' tests: a data folder with a catalog, and commands that run on it."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from synapse_project.environment import SETTINGS
from tests.migrated import put_database

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
"""
CATALOG = """
streams:
  - {name: inference-events}
  - {name: orders}
  - {name: parcels}
bridges:
  - name: shop
    stream: orders
    group: shop
    sink: handler
    config: {handler: tests.bridges.shop.moody}
    retry_schedule: [%(retry)s]
  - {name: console, stream: orders, group: printer, sink: console, enabled: %(console)s}
  - {name: archive, stream: parcels, group: archive, sink: database}
"""


class Installation:
    """A data folder with a catalog, and commands that run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.started: list[subprocess.Popen[str]] = []
        self.written = folder / "written-down"
        self.interrupts: signal.Handlers = signal.SIG_DFL

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its commands: none of the caller's settings."""
        ours = {setting.name for setting in SETTINGS}
        passed = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in ours}
        return {
            **passed,
            "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
            "SYNAPSE_VAR": str(self.folder),
            "SYNAPSE_LOG_LEVEL": "ERROR",
            "SYNAPSE_AUTH": "open",
            "SYNAPSE_REDIS_TIMEOUT": "30000",
            "REDIS_URL": self.url,
            "SYNAPSE_HANDLERS": "tests.bridges.shop.*",
            "SHOP_FILE": str(self.written),
        }

    def prepare(self) -> None:
        """Make the database, and define the catalog."""
        put_database(self.folder / "synapse.sqlite3")
        self._run("-c", PREPARE, str(self._catalog()))

    def define(self, **values: str) -> None:
        """Apply the catalog, with these values in it."""
        self._run("manage.py", "catalog", "apply", str(self._catalog(**values)))

    def consume(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start `manage.py consume`, with more variables."""
        # A shell that runs the tests in the background lets all that they start ignore SIGINT.
        before = signal.signal(signal.SIGINT, self.interrupts)
        try:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "consume", *words],
                cwd=ROOT,
                env={**self.variables, **variables},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        self.started.append(process)
        return process

    def handled(self) -> list[str]:
        """Return the ids of the events that a handler wrote down, in its order."""
        return [line.split()[0] for line in self.written.read_text().splitlines()] if self.written.exists() else []

    def end(self) -> None:
        """End all that was started, and what hangs in it: a handler outlives its parent for as long as it may take."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.started.clear()
        self.written.unlink(missing_ok=True)

    def _catalog(self, **values: str) -> Path:
        file = self.folder / "catalog.yaml"
        file.write_text(CATALOG % {"console": "false", "retry": "3600", **values})
        return file

    def _run(self, *words: str) -> None:
        command = [sys.executable, *words]
        subprocess.run(command, cwd=ROOT, env=self.variables, check=True, stdout=subprocess.DEVNULL)
