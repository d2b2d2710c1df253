"""The help of `manage.py`, and `manage.py serve` when it starts, stops and cannot start."""

import gc
import os
import re
import signal
import sys

import pytest

import manage
from synapse_project import VERSION
from tests.acceptance.hub import Hub
from tests.migrated import put_database
from tests.ports import free_port


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The environment of an installation that does not run, on a Redis that is not there."""
    others = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "SYNAPSE_REDIS_TIMEOUT": "100"}
    return Hub(folder=tmp_path_factory.mktemp("serve"), port=free_port(), others=others)


@pytest.fixture(scope="module")
def migrated(hub):
    """The database of the last tests of this file, which those before them find without tables."""
    put_database(hub.folder / "var" / "synapse.sqlite3")


@pytest.mark.parametrize("words", [["--version"], ["version"], ["serve", "--version"]])
def test_the_version_is_that_of_synapse(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["manage.py", *words])

    manage.main()

    out, err = capsys.readouterr()
    assert (re.match(r"Synapse ([\d.]+) \(Django [\d.]+, Python [\d.]+\)\n", out)[1], err) == (VERSION, "")


def test_a_start_collects_no_garbage_among_the_objects_that_it_loads(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["manage.py", "version"])
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)

    manage.main()

    young, middle, _ = gc.get_threshold()
    gc.set_threshold(*before)
    assert young * middle >= 1_000_000


@pytest.mark.product("words")
@pytest.mark.parametrize(
    "words", [("createsuperuser", "--noinput", "--username=anna", "--email="), ("changepassword", "anna")]
)
def test_a_command_on_a_database_without_tables_says_what_to_run(hub, words):
    process = hub.command(*words)

    _, err = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "Run `manage.py migrate` first" in err
    assert "Traceback" not in err


def test_a_server_on_a_database_without_tables_says_what_to_run(hub):
    process = hub.command("serve")

    out, err = process.communicate(timeout=120)

    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"CommandError: The database lacks \d+ migrations\. Run `manage\.py migrate` first, .*\n", err)


@pytest.mark.product("signal_")
@pytest.mark.parametrize(("words", "processes"), [([], ""), (["--workers", "2"], ", with 2 processes")])
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_where_it_listens_and_that_it_stops(hub, migrated, words, processes, signal_):
    # As in the background of a script, where SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = hub.command("serve", *words)
    signal.signal(signal.SIGINT, before)

    begun = process.stdout.readline()
    os.kill(process.pid, signal_)
    out, _ = process.communicate(timeout=120)

    assert begun == f"Synapse listens on http://127.0.0.1:{hub.port}{processes}. Ctrl-C stops it.\n"
    assert out == "Stopping: requests that are being answered are finished first.\nStopped.\n"
    assert process.returncode == 0
