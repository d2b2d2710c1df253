"""Every script, and the rights of a Redis user that needs no others, on each server that is installed.

The same tests as on the embedded one, in a process of their own. `make chaos` (`SYNAPSE_TESTS=full`) runs them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.engines import EMBEDDED, engines
from tests.chaos.profile import FULL

ROOT = Path(__file__).parents[2]
ENGINES = {name: path for name, path in engines().items() if name != EMBEDDED}
SUITES = (
    "tests/bridges/test_scripts.py",
    "tests/bridges/test_ordered_scripts.py",
    "tests/bridges/test_failing_scripts.py",
    "tests/bridges/test_taking_back.py",
    "tests/bridges/test_a_full_redis.py",
    "tests/chaos/test_failpoints.py",
    "tests/chaos/test_lost_answers.py",
    "tests/dead_letters",
    "tests/delivery",
    "tests/groups",
    "tests/publish/test_idempotency.py",
    "tests/pull/test_leases.py",
    "tests/retention",
)


@pytest.mark.skipif(not FULL, reason="takes minutes: `make chaos`")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_script_suites_pass_on_each_engine(engine, capsys):
    if ENGINES[engine] is None:
        pytest.skip(f"{engine} is not installed")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "--tb", "short", *SUITES],
        check=False,
        cwd=ROOT,
        env={**os.environ, "SYNAPSE_TESTS_SERVER": str(ENGINES[engine]), "SYNAPSE_TESTS": ""},
        capture_output=True,
        text=True,
        timeout=900,
    )

    with capsys.disabled():
        print(f"\n{engine}: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
