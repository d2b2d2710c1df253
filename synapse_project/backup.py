"""`manage.py backup`: copies the data of a running installation into a folder with the layout of a data folder.

Redis is copied before the database, so that an event that a bridge archives in between is in at least one of the two
copies. At worst, a bridge delivers such an event again after a restore. An event that was stored before the backup
began, and whose publisher got the answer, is in the backup.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from synapse.redis.embedded import EmbeddedRedisError, read_endpoint
from synapse.redis.embedded import process as embedded_process
from synapse.runtime import private_files

REDIS, DATABASE = PARTS = ("redis", "database")
KEY_FILE = "secret-key"
DATABASE_FILE = "synapse.sqlite3"
LOCK = "backup.lock"


class BackupFailed(Exception):
    """The backup failed. The message says why and what to do."""


def back_up(target: Path, parts: Collection[str], say: Callable[[str], None]) -> None:
    """Write a backup of these parts into a new folder. The folder appears only when it is complete.

    Raises:
        BackupFailed: when the backup cannot be made. No partial backup is left.
    """
    _refuse_foreign(parts)
    if target.exists():
        raise BackupFailed(f"{target} exists already; name a folder that does not exist.")
    lock = private_files.take_lock(settings.VAR_DIR / LOCK)
    if lock is None:
        raise BackupFailed("Another backup of this installation is being made.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        if REDIS in parts:
            say("Copying Redis ...")
            _copy_redis(partial / settings.EMBEDDED_REDIS_DIR.name)
        if DATABASE in parts:
            say("Copying the database ...")
            _copy_database(partial / DATABASE_FILE)
            _copy_secret_key(partial / KEY_FILE)
        partial.rename(target)
    except (OSError, sqlite3.Error, EmbeddedRedisError) as error:
        raise BackupFailed(str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def _refuse_foreign(parts: Collection[str]) -> None:
    """Refuse parts that are stored in other systems, with instructions for copying them."""
    if REDIS in parts and settings.REDIS_URL:
        raise BackupFailed(
            "Redis is not run by Synapse. Copy it first, with Redis' own tools (docs/backup.md), and then the "
            "database: manage.py backup FOLDER --only database"
        )
    if DATABASE in parts and connection.vendor != "sqlite":
        place = connection.settings_dict
        raise BackupFailed(
            "The database is not Synapse's SQLite file. Copy Redis first (manage.py backup FOLDER --only redis, where "
            f"Synapse runs it), and then the database: pg_dump --format=custom --host={place['HOST'] or 'localhost'} "
            f"--port={place['PORT'] or 5432} --username={place['USER']} --file=FILE {place['NAME']}"
        )


def _copy_redis(target: Path) -> None:
    folder = settings.EMBEDDED_REDIS_DIR
    endpoint = read_endpoint(folder)
    if endpoint is None:
        raise EmbeddedRedisError(f"There is no embedded Redis in {folder} yet: start it with make run.")
    embedded_process.save_copy(endpoint, folder, target)


def _copy_database(target: Path) -> None:
    """Copy a consistent state of the database while others write to it."""
    private_files.protect_sqlite(target)
    source = f"file:{quote(str(connection.settings_dict['NAME']))}?mode=rw"
    with closing(sqlite3.connect(source, uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        # In one step, because a write between two steps would restart the copy.
        live.backup(copy)
        # The result is a single file, without a write-ahead log.
        copy.execute("PRAGMA journal_mode=DELETE")


def _copy_secret_key(target: Path) -> None:
    """Copy the generated secret key, without which the secrets in the database cannot be read."""
    key_file = settings.VAR_DIR / KEY_FILE
    if key_file.exists():
        shutil.copy(key_file, target)
        private_files.protect(target)
