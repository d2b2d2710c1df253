"""`manage.py backup` copies Synapse's own data and gives advice on the rest. tests/acceptance restores one."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from streams.models import Stream
from synapse.runtime import private_files


@pytest.mark.django_db(transaction=True)
def test_the_copy_of_the_database_is_one_file_with_the_committed_rows(tmp_path):
    Stream.objects.create(name="orders")

    call_command("backup", str(tmp_path / "backup"), only="database")

    assert {path.name for path in (tmp_path / "backup").iterdir()} == {"synapse.sqlite3", "secret-key"}
    with closing(sqlite3.connect(tmp_path / "backup" / "synapse.sqlite3")) as copy:
        assert copy.execute("SELECT name FROM streams_stream").fetchall() == [("orders",)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_of_a_foreign_redis_is_refused_with_instructions(settings, tmp_path):
    settings.REDIS_URL = "redis://redis:6379/0"

    with pytest.raises(CommandError, match=r"Copy it first, with Redis' own tools .* --only database"):
        call_command("backup", str(tmp_path / "backup"))


def test_a_backup_of_postgresql_is_refused_with_instructions_and_without_the_password(monkeypatch, tmp_path):
    place = {"HOST": "db", "PORT": 5433, "USER": "synapse", "NAME": "events", "PASSWORD": "secret"}
    monkeypatch.setattr("synapse_project.backup.connection", SimpleNamespace(vendor="postgresql", settings_dict=place))

    with pytest.raises(CommandError) as refused:
        call_command("backup", str(tmp_path / "backup"))

    assert "pg_dump --format=custom --host=db --port=5433 --username=synapse --file=FILE events" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_backup_into_an_existing_folder_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", str(tmp_path), only="database")

    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_fails_leaves_nothing_behind(settings, tmp_path):
    settings.EMBEDDED_REDIS_DIR = tmp_path / "redis"

    with pytest.raises(CommandError, match="There is no embedded Redis"):
        call_command("backup", str(tmp_path / "backup"))

    assert list(tmp_path.iterdir()) == []


def test_a_second_backup_at_once_is_refused(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    with (
        open(private_files.take_lock(tmp_path / "backup.lock"), "rb"),
        pytest.raises(CommandError, match="Another backup"),
    ):
        call_command("backup", str(tmp_path / "backup"), only="database")

    assert not (tmp_path / "backup").exists()
