"""However many register at once, no number and no id is given twice: on SQLite and on PostgreSQL."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest

from synapse_project.environment import SETTINGS
from tests.chaos.profile import FULL
from tests.contracts.registering import EACH, THREADS
from tests.migrated import put_database
from tests.postgres import running_postgres

ROOT = Path(__file__).parents[2]
PROCESSES = 2


@contextmanager
def on_sqlite(folder):
    put_database(folder / "registry.sqlite3")
    yield f"sqlite:///{folder}/registry.sqlite3"


@contextmanager
def on_postgresql(folder):
    with running_postgres(migrated=True) as url:
        yield url


# PostgreSQL, which takes longer to start than all of it, is asked in the full run.
@pytest.fixture(params=[on_sqlite, *([on_postgresql] if FULL else [])])
def environment(request, tmp_path):
    """The environment of a program that uses a database of the kind, with all tables and nothing in them."""
    own = {setting.name for setting in SETTINGS}
    inherited = {name: text for name, text in os.environ.items() if name not in own}
    with request.param(tmp_path) as url:
        yield inherited | {
            "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
            "SYNAPSE_AUTH": "open",
            "SYNAPSE_VAR": str(tmp_path),
            "DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        }


def started(environment, name):
    """Start a program that registers."""
    return subprocess.Popen(
        [sys.executable, "tests/contracts/registering.py", name],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_number_and_no_id_is_given_twice(environment):
    programs = [started(environment, f"p{number}") for number in range(PROCESSES)]

    for running in programs:
        assert running.stdout.readline() == "ready\n"
    for running in programs:
        running.stdin.write("go\n")
        running.stdin.flush()
    done = [each for running in programs for each in json.loads(running.communicate(timeout=600)[0])]

    ids, numbers = defaultdict(set), defaultdict(set)
    for subject, text, number, schema_id in done:
        ids[text].add(schema_id)
        numbers[subject, number].add(text)
    workers = PROCESSES * THREADS
    assert len(done) == workers * EACH * 3
    assert all(len(found) == 1 for found in ids.values())
    assert len({next(iter(found)) for found in ids.values()}) == len(ids) == workers * EACH + EACH
    assert all(len(found) == 1 for found in numbers.values())
    assert sorted(number for subject, number in numbers if subject == "shared") == [*range(1, len(ids) + 1)]
