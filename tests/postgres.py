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


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server for as long as the block lasts, and give the URL of an empty database."""
    folder = programs()
    need(folder, "PostgreSQL")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="synapse-postgres-") as data:
        # PostgreSQL refuses to run as root: there its own user runs it.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(data, "postgres", "postgres")

        def run(program: str, *words: str) -> None:
            subprocess.run(
                [*as_user, str(folder / program), *words],  # type: ignore[operator]
                check=True,
                cwd=data,
                stdout=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
            )

        run("initdb", "-D", f"{data}/db", "-U", "synapse", "-A", "trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off"
        run("pg_ctl", "-D", f"{data}/db", "-o", options, "-l", f"{data}/log", "-w", "start")
        try:
            yield f"postgresql://synapse@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", f"{data}/db", "-m", "immediate", "stop")
