"""Only the owner can read an installation's files, for any umask and any mode of the data folder."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from synapse.runtime.private_files import protect, protect_sqlite, protect_tree
from tests.limits.test_deploying import OURS, ROOT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def lax_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path):
    """A data folder that everybody may look into."""
    tmp_path.chmod(0o755)
    return tmp_path


# It reads the settings, which makes files private, and asks no database.
SOONEST = ("consume", "--help")


def run_a_command(folder, *words, **variables):
    inherited = {name: text for name, text in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=inherited | {"SYNAPSE_VAR": str(folder)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        umask=0,
    )


def test_an_installation_in_an_open_folder_makes_its_files_private(folder):
    done = run_a_command(folder, "migrate", "--plan")

    assert done.returncode == 0, done.stderr
    assert {path.name: oct(mode(path)) for path in folder.iterdir()} == {
        "secret-key": "0o600",
        "synapse.sqlite3": "0o600",
    }


def test_the_files_of_an_older_installation_are_made_private_at_the_start(folder, lax_umask):
    run_a_command(folder, *SOONEST)
    with closing(sqlite3.connect(folder / "synapse.sqlite3")) as held:
        held.execute("PRAGMA journal_mode=WAL")
        held.execute("CREATE TABLE t (x)")
        for path in folder.iterdir():
            path.chmod(0o644)

        done = run_a_command(folder, *SOONEST)

        assert done.returncode == 0, done.stderr
        names = {"secret-key", *(f"synapse.sqlite3{end}" for end in ("", "-wal", "-shm"))}
        assert {path.name: oct(mode(path)) for path in folder.iterdir()} == dict.fromkeys(names, "0o600")


def test_a_database_that_the_settings_name_is_private_too(folder):
    run_a_command(folder, *SOONEST, DATABASE_URL=f"sqlite:///{folder}/other.sqlite3")

    assert mode(folder / "other.sqlite3") == 0o600


def test_sqlite_gives_its_log_the_rights_of_the_database(folder, lax_umask):
    path = folder / "a.sqlite3"
    assert protect_sqlite(path) == []

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()

        assert {oct(mode(each)) for each in folder.iterdir()} == {"0o600"}
        assert len(list(folder.iterdir())) == 3


def test_protecting_a_file_keeps_the_rights_of_its_owner(tmp_path):
    script, secret = tmp_path / "script", tmp_path / "secret"
    for path, rights in ((script, 0o755), (secret, 0o440)):
        path.touch()
        path.chmod(rights)
        assert protect(path) == ""

    assert (mode(script), mode(secret)) == (0o700, 0o400)


def test_protecting_a_missing_file_does_not_create_it(tmp_path):
    assert protect(tmp_path / "nothing") == ""
    assert protect_sqlite(tmp_path / "no" / "folder" / "a.sqlite3") == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_owner_is_reported(tmp_path, monkeypatch):
    path = tmp_path / "theirs"
    path.touch()
    path.chmod(0o644)

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)

    (said,) = protect_tree(path)
    assert said.startswith(f"Other users of this machine can reach {path}")
    assert "Operation not permitted" in said


def test_a_link_out_of_a_tree_is_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.touch()
    outside.chmod(0o644)
    inside.mkdir()
    (inside / "link").symlink_to(outside)

    assert list(protect_tree(inside)) == []

    assert (mode(inside), mode(outside)) == (0o700, 0o644)
