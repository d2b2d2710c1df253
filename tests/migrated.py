"""A database of SQLite with all tables, made once a run and copied: making it takes as long as a program's start."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from synapse_project.environment import SETTINGS

ROOT = Path(__file__).parents[1]


def database_of_run() -> Path:
    """Return where the database of this run of the tests is, once it was made."""
    return Path(os.environ["SYNAPSE_TESTS_FOLDER"]) / "migrated.sqlite3"


def put_database(to: Path) -> None:
    """Put a copy into the place of a new installation's database."""
    database = database_of_run()
    with (database.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            _make(database)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(database, to)


def _make(database: Path) -> None:
    own = {setting.name for setting in SETTINGS}
    inherited = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in own}
    made = database.parent / "being-made"
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=inherited | {"DJANGO_SETTINGS_MODULE": "synapse_project.settings", "SYNAPSE_VAR": str(made)},
        check=True,
        timeout=300,
    )
    # What a process writes may still lie in a log beside the database when it has ended.
    with closing(sqlite3.connect(made / "synapse.sqlite3")) as written, closing(sqlite3.connect(made / "copy")) as copy:
        written.backup(copy)
    (made / "copy").rename(database)
