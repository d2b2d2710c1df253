"""A database with all tables, made once a run and copied: making it takes as long as a program's start."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from synapse_project.environment import SETTINGS

ROOT = Path(__file__).parents[1]


def database_of_run() -> Path:
    """Return where the database of this run of the tests is, once it was made."""
    return folder_of_run() / "migrated.sqlite3"


def folder_of_run() -> Path:
    """Return the folder that all processes of this run share."""
    return Path(os.environ["SYNAPSE_TESTS_FOLDER"])


def put_database(to: Path) -> None:
    """Put a copy into the place of a new installation's database."""
    database = made_once(database_of_run(), _make)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(database, to)


def made_once(place: Path, make: Callable[[Path], None]) -> Path:
    """Return the file or folder in a place, which the first process to ask for it makes while others wait."""
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            make(place)
    return place


def migrate(folder: Path, **variables: str) -> None:
    """Make all tables in the database of an installation, which the variables may name."""
    own = {setting.name for setting in SETTINGS}
    inherited = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in own}
    settings = {"DJANGO_SETTINGS_MODULE": "synapse_project.settings", "SYNAPSE_VAR": str(folder)}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=inherited | settings | variables,
        check=True,
        timeout=300,
    )


def _make(database: Path) -> None:
    made = database.parent / "being-made"
    migrate(made)
    # What a process writes may still lie in a log beside the database when it has ended.
    with closing(sqlite3.connect(made / "synapse.sqlite3")) as written, closing(sqlite3.connect(made / "copy")) as copy:
        written.backup(copy)
    (made / "copy").rename(database)
