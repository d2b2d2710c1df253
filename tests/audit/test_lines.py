"""The audit log as lines of JSON, for log collectors."""

import json
import logging
import logging.config
import os
import stat
import subprocess
import sys

import pytest
from django.db import transaction

from core import audit
from synapse.auth.principal import SYSTEM, Principal
from synapse_project import setting_values

ANNA = Principal(kind="person", name="anna", address="192.0.2.7")


@pytest.fixture
def log(tmp_path):
    """The file that the record goes to."""
    path = tmp_path / "audit.jsonl"
    handlers, logger = setting_values.audit_logging(str(path))
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"bare": {"format": "%(message)s"}},
            "handlers": handlers,
            "loggers": {"synapse.audit": logger},
        }
    )
    yield path
    for handler in logging.getLogger("synapse.audit").handlers:
        handler.close()
    _, silent = setting_values.audit_logging("")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "loggers": {"synapse.audit": silent}})


@pytest.mark.django_db
def test_an_entry_is_a_line(log, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        audit.record(ANNA, "change", "stream orders", before={"n": 1}, after={"n": 2})
        audit.record(SYSTEM, "create", "stream parcels")

    first, second = map(json.loads, log.read_text().splitlines())
    assert (first["actor"], first["address"], first["action"]) == ("person:anna", "192.0.2.7", "change")
    assert (first["before"], first["after"]) == ({"n": 1}, {"n": 2})
    assert second["target"] == "stream parcels"


@pytest.mark.django_db(transaction=True)
def test_an_audit_entry_that_was_rolled_back_is_not_logged(log):
    with transaction.atomic():
        audit.record(SYSTEM, "create", "stream orders")
        transaction.set_rollback(True)

    assert log.read_text() == ""


@pytest.mark.django_db
@pytest.mark.parametrize("hostile", ["a\r\nb", "a\u2028b", "\x1b[2J", "a\x85b", '"}\n{"', "\u202e"])
def test_no_name_begins_a_line_of_its_own(log, django_capture_on_commit_callbacks, hostile):
    with django_capture_on_commit_callbacks(execute=True):
        audit.record(SYSTEM, "create", f"stream {hostile}")

    (line,) = log.read_text().splitlines()
    assert json.loads(line)["target"] == f"stream {hostile}"
    assert line.isascii()
    assert line.isprintable()


def test_the_file_is_its_owners_alone(log):
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path):
    asked = [sys.executable, "manage.py", "check"]
    environ = {**os.environ, "SYNAPSE_AUDIT_LOG": str(tmp_path / "nowhere" / "audit.jsonl")}
    environ |= {"SYNAPSE_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "synapse_project.settings"}

    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("synapse: SYNAPSE_AUDIT_LOG: cannot write ")
