"""A real PostgreSQL for the tests: on loopback, on a free port, in a folder of its own."""

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.conftest import need
from tests.migrated import folder_of_run, made_once, migrate
from tests.ports import free_port

# The database that has all tables.
MIGRATED = "migrated"


def programs() -> Path | None:
    """Return the folder of the newest installed server, or None."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(folders[-1]) if folders else None


class Postgres:
    """A server that a test may stop and start again. `url` is that of an empty database, `migrated` has all tables."""

    def __init__(self, programs: Path, folder: str) -> None:
        self._programs, self._folder, self._port = programs, folder, free_port()
        self.is_running = False
        self.url = f"postgresql://synapse@127.0.0.1:{self._port}/postgres"
        self.migrated = f"postgresql://synapse@127.0.0.1:{self._port}/{MIGRATED}"

    def create(self) -> None:
        """Copy the databases that the first server of the run has made."""
        made = made_once(folder_of_run() / "postgresql", self._make)
        subprocess.run(["cp", "-a", f"{made}/.", f"{self._folder}/db"], check=True)

    def _make(self, to: Path) -> None:
        self._run("initdb", "-U", "synapse", "-A", "trust", "--no-sync", "--wal-segsize=1")
        self.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {MIGRATED}")
        migrate(Path(self._folder, "installation"), DATABASE_URL=self.migrated)
        self.stop("fast")
        Path(self._folder, "db").rename(Path(self._folder, "made"))
        subprocess.run(["cp", "-a", f"{self._folder}/made", f"{to}.copy"], check=True)
        Path(f"{to}.copy").rename(to)

    def start(self) -> None:
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        )
        self._run("pg_ctl", "-o", options, "-l", f"{self._folder}/log", "-w", "start")
        self.is_running = True

    def stop(self, how: str = "immediate") -> None:
        """Stop it, as a crash does unless told otherwise."""
        self._run("pg_ctl", "-m", how, "stop")
        self.is_running = False

    def _run(self, program: str, *words: str) -> None:
        # PostgreSQL refuses to run as root: there its own user runs it.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run(
            [*as_user, str(self._programs / program), "-D", f"{self._folder}/db", *words],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )


@contextmanager
def running_server() -> Iterator[Postgres]:
    """Run a server for as long as the block lasts."""
    folder = programs()
    need(folder, "PostgreSQL")
    assert folder is not None
    with tempfile.TemporaryDirectory(prefix="synapse-postgres-") as data:
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        server = Postgres(folder, data)
        server.create()
        server.start()
        try:
            yield server
        finally:
            if server.is_running:
                server.stop()


@contextmanager
def running_postgres(*, migrated: bool = False) -> Iterator[str]:
    """Run a server for as long as the block lasts, and give the URL of an empty database, or of one with all tables."""
    with running_server() as server:
        yield server.migrated if migrated else server.url
