"""A real PostgreSQL for the tests: on loopback, on a free port, in a folder of its own."""

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need
from tests.ports import free_port


def programs() -> Path | None:
    """Return the folder of the newest installed server, or None."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(folders[-1]) if folders else None


class Postgres:
    """A server that a test may stop and start again. `url` is that of an empty database."""

    def __init__(self, programs: Path, folder: str) -> None:
        self._programs, self._folder, self._port = programs, folder, free_port()
        self.is_running = False
        self.url = f"postgresql://synapse@127.0.0.1:{self._port}/postgres"

    def create(self) -> None:
        self._run("initdb", "-U", "synapse", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        )
        self._run("pg_ctl", "-o", options, "-l", f"{self._folder}/log", "-w", "start")
        self.is_running = True

    def stop(self) -> None:
        """Stop it as a crash does."""
        self._run("pg_ctl", "-m", "immediate", "stop")
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
def running_postgres() -> Iterator[str]:
    """Run a server for as long as the block lasts, and give the URL of an empty database."""
    with running_server() as server:
        yield server.url
