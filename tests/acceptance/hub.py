"""The hub as a person runs it: `manage.py up` in its own data folder, with methods to kill its processes."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from synapse.redis import embedded
from synapse_project.environment import SETTINGS
from tests.migrated import put_database
from tests.patience import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
ADMIN_PASSWORD = "an-acceptance-password"


@dataclass
class Hub:
    """A running hub, which makes its database by itself only when it begins from nothing."""

    folder: Path
    port: int
    others: dict[str, str] = field(default_factory=dict)
    from_nothing: bool = False
    process: subprocess.Popen[str] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command beside the hub, in a second terminal."""
        own = {name for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
        own.add("DJANGO_SETTINGS_MODULE")
        inherited = {name: text for name, text in os.environ.items() if name not in own}
        return inherited | {
            "SYNAPSE_VAR": str(self.folder / "var"),
            "SYNAPSE_RECORDS": str(self.folder / "running"),
            "PORT": str(self.port),
            "SYNAPSE_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "SYNAPSE_URL": self.url,
            "SYNAPSE_AUTH": "open",
            # On a machine that is busy with something else, what answers late is not down.
            "SYNAPSE_REDIS_TIMEOUT": "30000",
            # More than a test publishes: what is missing then was lost, not let go by the janitor.
            "STREAM_MAX_LENGTH": "500000",
            **self.others,
        }

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        self.launch()
        eventually(lambda: self.is_healthy() and "Synapse is running." in self.output)

    def launch(self) -> None:
        """Start it."""
        database = self.folder / "var" / "synapse.sqlite3"
        if not (self.from_nothing or database.exists() or "DATABASE_URL" in self.others):
            put_database(database)
            put_admin(database)
        with (self.folder / "output").open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                text=True,
            )

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, self.output
        try:
            return httpx.get(f"{self.url}/health", timeout=30).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> int:
        """Stop it as Ctrl-C does, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=180)

    def command(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Start a management command beside the hub."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )

    def redis(self) -> redis.Redis:
        """Return a plain client of the embedded server."""
        endpoint = embedded.read_endpoint(self.folder / "var" / "redis")
        assert endpoint is not None
        return redis.Redis.from_url(endpoint.url)

    def kill_web_server(self) -> None:
        """End the web server as kill -9 does."""
        os.kill(self._listener(), signal.SIGKILL)

    def kill_redis(self) -> None:
        """End the embedded server as kill -9 does."""
        pid = int((self.folder / "var" / "redis" / "valkey.pid").read_text())
        os.kill(pid, signal.SIGKILL)

    def _listener(self) -> int:
        """Return the process that listens on the hub's port."""
        found = subprocess.run(
            ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for row in found:
            if match := re.match(rf"\s*(\d+)\s+{self.process.pid}\s.*manage\.py serve", row):
                return int(match[1])
        raise AssertionError("the web server is not running")


def put_admin(database: Path) -> None:
    """Put the user into a database that a first start creates, with a hash that takes no half second to make."""
    user = {
        "username": "admin",
        "password": PBKDF2PasswordHasher().encode(ADMIN_PASSWORD, "salt-of-the-tests", iterations=1),
        **dict.fromkeys(("is_superuser", "is_staff", "is_active"), True),
        **dict.fromkeys(("first_name", "last_name", "email"), ""),
        "date_joined": "2026-01-01 00:00:00",
    }
    row = f"({', '.join(user)}) VALUES ({', '.join('?' * len(user))})"
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute(f"INSERT INTO auth_user {row}", [*user.values()])


@contextmanager
def running_hub(folder: Path, others: dict[str, str] | None = None) -> Iterator[Hub]:
    """Run a hub for as long as the block lasts, with other settings in its environment."""
    hub = Hub(folder=folder, port=free_port(), others=others or {})
    hub.start()
    try:
        yield hub
    finally:
        if hub.process.poll() is None:
            hub.stop()
