"""Archived rows and their sums on PostgreSQL, on which the workflow also runs all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.profile import FULL
from tests.postgres import running_postgres

# The sink itself stores the rows that the two files look at; with all that is asked of every sink, in the full run.
FILES = ["test_archive.py", "test_archive_summary.py", *(["test_every_sink.py"] if FULL else [])]


@pytest.mark.nightly
def test_rows_and_sums_are_the_same_on_postgresql():
    with running_postgres() as url:
        words = [
            *("-q", "-n", "0", "-p", "no:cacheprovider"),
            *("-k", "not handler and not console", "--ds", "tests.bridges.on_postgres"),
        ]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *(f"tests/bridges/{name}" for name in FILES)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "POSTGRES_OF_THE_TESTS": url},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout
