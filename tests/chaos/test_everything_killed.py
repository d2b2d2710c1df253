"""`manage.py chaos`: no event is lost when any process is killed.

`make chaos` (`SYNAPSE_TESTS=full`) does it for a minute, in each order, on each server that is installed.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import verdict
from chaos.launcher import Progress, run_apart
from chaos.plan import Plan
from chaos.run import _describe_rest
from chaos.verdict import EventCounts
from tests.chaos.engines import EMBEDDED, engines
from tests.chaos.profile import FULL

ROOT = Path(__file__).parents[2]
ENGINES = engines()
SHORT = Plan(seconds=3, rate=600, kill_worker=0.25, kill_server=1.2, poison=0.01, lease=3)
CALM = replace(Plan(), failures=0, poison=0, kill_worker=0, kill_server=0)

in_full = pytest.mark.skipif(not FULL, reason="takes minutes: `make chaos`")


@pytest.fixture
def run(capsys):
    """Run a plan, print its table, and return the outcome and the promises that were broken."""

    def run(plan):
        outcome = run_apart(plan)
        with capsys.disabled():
            print(f"\n{verdict.render_table(plan, outcome)}")
        return outcome, verdict.list_broken(plan, outcome)

    return run


@pytest.mark.nightly
def test_workers_and_the_server_are_killed_and_nothing_is_lost_or_out_of_order(run):
    outcome, broken = run(replace(SHORT, order="key", delivery_log="all"))

    assert broken == []
    assert outcome["deeds"]["workers_killed"] > 3
    assert outcome["deeds"]["servers_killed"] > 0
    assert outcome["verdict"]["dead"] > 0
    assert outcome["verdict"]["timelines"] == outcome["verdict"]["stored"]


@pytest.mark.nightly
def test_processes_that_are_spawned_do_as_those_that_are_forked_and_the_run_says_how_far_it_is():
    said = []

    outcome = run_apart(replace(CALM, seconds=1, publishers=1, workers=1, rate=100, start="spawn"), said.append)

    assert verdict.list_broken(CALM, outcome) == []
    assert outcome["verdict"]["handled"] > 20
    assert said[0] == "chaos: publishing for 1 s to 1 workers, in the order “none”"
    assert said[-1] == "chaos: all is acknowledged; counting"


def test_a_long_run_says_every_five_seconds_what_is_left(capsys):
    now = [0.0]
    progress = Progress(clock=lambda: now[0])
    places = EventCounts(unread=True, pending=1, waiting=2, parked=3000, done=4, dead=5)

    for seconds in range(1, 13):
        now[0] = seconds
        progress.report_when_due(lambda: _describe_rest(places, now[0]))

    (first, second) = capsys.readouterr().err.splitlines()
    left = "some unread, 1 pending, 2 waiting to be tried again, 3,000 behind their key"
    assert first == f"chaos: waiting for 5 s; 4 done, 5 dead, {left}"
    assert second.startswith("chaos: waiting for 10 s;")


@in_full
@pytest.mark.parametrize("order", ["none", "key"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_minute_on_each_engine(run, engine, order):
    if ENGINES[engine] is None:
        pytest.skip(f"{engine} is not installed")

    _, broken = run(Plan(server=ENGINES[engine], order=order, seconds=60))

    assert broken == []


@in_full
def test_a_minute_in_the_order_of_the_stream(run):
    _, broken = run(Plan(order="stream", rate=50, failures=0.02, poison=0.001))

    assert broken == []


@in_full
def test_workers_that_are_frozen_past_their_lease_lose_nothing(run):
    _, broken = run(Plan(order="key", freeze_worker=3))

    assert broken == []


@in_full
def test_without_faults_nothing_is_delivered_twice(run):
    outcome, broken = run(replace(CALM, events=100_000, rate=3000, seconds=600))

    assert broken == []
    assert outcome["verdict"]["handled"] == 100_000


@in_full
def test_workers_that_are_stopped_under_load_lose_nothing_and_deliver_nothing_twice(run):
    outcome, broken = run(replace(Plan(), kill_worker=0, kill_server=0, stop_worker=0.5, seconds=40))

    assert broken == []
    assert outcome["stops"]["count"] >= 50
    assert outcome["stops"]["slowest"] < 30


def command(*words):
    return subprocess.run(
        [sys.executable, "manage.py", "chaos", *words],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--seconds", "0"], "a number from 1 to 86400"),
        (["--rate", "many"], "invalid whole number value: 'many'"),
        (["--order", "random"], "invalid choice: 'random'"),
        (["--redis-server", "/nowhere"], "/nowhere is no program that can be run"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(words, complaint, capsys):
    from django.core.management import CommandError, call_command

    with pytest.raises((CommandError, SystemExit)) as refused:
        call_command("chaos", *words)

    assert complaint in str(refused.value) + capsys.readouterr().err


@in_full
def test_the_command_prints_json_and_says_by_its_status_that_all_is_well():
    done = command("--calm", "--seconds", "1", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["broken"] == []


def test_the_embedded_server_is_always_there():
    assert ENGINES[EMBEDDED] == ""
