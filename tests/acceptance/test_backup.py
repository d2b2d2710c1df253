"""A backup is made of a hub under load, and another hub is restored from it: nothing acknowledged before is missing."""

import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.acceptance.hub import running_hub
from tests.acceptance.test_crashes import Publisher, everything
from tests.chaos.profile import FULL
from tests.patience import eventually

pytestmark = pytest.mark.process

SINGLE_EVENTS, BATCHED_EVENTS, BATCH = (600, 9_000, 50) if FULL else (60, 1_000, 50)


def archived(folder):
    """The events that the database of a hub keeps, by the ids of their entries."""
    with closing(sqlite3.connect(folder / "var" / "synapse.sqlite3")) as database:
        return {entry_id for (entry_id,) in database.execute("SELECT entry_id FROM bridges_archivedevent")}


def test_a_hub_restored_from_a_backup_has_all_that_was_acknowledged_before_the_backup_began(hub, tmp_path):
    publishers = [Publisher(hub, "single", SINGLE_EVENTS, 1), Publisher(hub, "batch", BATCHED_EVENTS, BATCH)]
    progress = threading.Semaphore(0)
    backup = tmp_path / "backup"
    with ThreadPoolExecutor(len(publishers)) as pool:
        running = [pool.submit(publisher.run, progress) for publisher in publishers]
        for _ in range((SINGLE_EVENTS + BATCHED_EVENTS) // 3):
            progress.acquire(timeout=60)
        before = {name: id_ for publisher in publishers for name, id_ in dict(publisher.acknowledged).items()}
        command = hub.command("backup", str(backup))
        said, errors = command.communicate(timeout=180)
        for publisher in running:
            publisher.result()
    assert command.returncode == 0, errors
    assert "Copying Redis ...\nCopying the database ...\n" in said
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup, *backup.rglob("*")))

    restored = tmp_path / "restored"
    shutil.copytree(backup, restored / "var")
    with running_hub(restored) as second:
        stored = {fields[b"request_id"].decode(): id_.decode() for id_, fields in everything(second)}
        missing = [name for name, id_ in before.items() if stored.get(name) != id_]
        assert not missing, missing[:5]
        eventually(lambda: set(before.values()) <= archived(restored))
        assert "log in as before" in second.output
        again = Publisher(second, "later", BATCH, BATCH)
        again.run(progress)
        assert min(map(order, again.acknowledged.values())) > max(map(order, stored.values()))


def order(entry_id):
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)
