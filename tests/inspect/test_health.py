"""Health checks: `/health`, `/healthz`, `/readyz`. They answer while any dependency hangs."""

import signal
import threading
from collections.abc import Iterator

import pytest
from django.db import connections as databases

from streams import health
from streams.health import FRESH, Probe, SystemDown
from tests.patience import eventually

AS_IN_LIFE = {name: getattr(health, name) for name in ("ANSWER_WITHIN", "PATIENCE", "FRESH")}
WELL = {"status": "healthy", "service": "synapse", "redis": "ok", "database": "ok"}


@pytest.fixture
def in_life(monkeypatch):
    """Answers are waited for as long as they are in life, and not for as long as tests do."""
    for name, seconds in AS_IN_LIFE.items():
        monkeypatch.setattr(health, name, seconds)


@pytest.fixture
def running_prober(db) -> Iterator[None]:
    """What the web server runs."""
    health.start()
    yield
    health.stop()


@pytest.fixture
def frozen_redis(own_valkey, settings, in_life):
    """Redis accepts connections and never answers, until the test ends."""
    settings.REDIS_TIMEOUT = 0.9
    own_valkey.process.send_signal(signal.SIGSTOP)
    yield
    own_valkey.process.send_signal(signal.SIGCONT)


@pytest.fixture
def no_database(monkeypatch):
    """New connections to the database fail; that of the test stays."""
    monkeypatch.setitem(databases.databases["default"], "NAME", "/nonexistent/folder/synapse.sqlite3")


def test_when_all_is_well_the_answer_is_what_its_callers_look_for(ask):
    answer = ask("GET", "/health")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == WELL
    assert answer.body.startswith(b'{"status":"healthy","service":"synapse"')


def test_a_running_prober_gives_the_same_answer(ask, running_prober):
    answer = ask("GET", "/health")

    assert (answer.status, answer.json) == (200, WELL)


def test_without_redis_it_is_unhealthy_and_not_ready_but_alive(ask, own_valkey):
    own_valkey.kill()

    answer = ask("GET", "/health")

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert (answer.json["status"], answer.json["service"]) == ("unhealthy", "synapse")
    assert (answer.json["redis"], answer.json["database"]) == ("down", "ok")
    assert "Redis cannot be reached" in answer.json["error"]
    readiness = ask("GET", "/readyz")
    assert (readiness.status, readiness.json) == (503, {"ready": False, "redis_status": "down"})
    assert ask("GET", "/healthz").status == 200


def test_without_the_database_it_is_unhealthy_but_ready(ask, no_database):
    answer = ask("GET", "/health")

    assert answer.status == 503
    assert answer.json["error"] == "The database does not answer (OperationalError)."
    assert (answer.json["redis"], answer.json["database"]) == ("ok", "down")
    assert ask("GET", "/readyz").status == 200


@pytest.mark.parametrize("path", ["/health", "/readyz"])
def test_a_frozen_redis_is_down_and_not_waited_for(event_loop_client, frozen_redis, path):
    assert event_loop_client("GET", path).status == 503


def test_the_prober_notices_a_frozen_redis_and_its_return(event_loop_client, own_valkey, in_life, running_prober):
    own_valkey.process.send_signal(signal.SIGSTOP)

    assert eventually(lambda: event_loop_client("GET", "/health").status == 503)

    own_valkey.process.send_signal(signal.SIGCONT)
    assert eventually(lambda: event_loop_client("GET", "/health").status == 200)


def test_ready_and_alive_say_just_that(ask):
    readiness = ask("GET", "/readyz")
    liveness = ask("GET", "/healthz")

    assert (readiness.status, readiness.json) == (200, {"ready": True, "redis_status": "ok"})
    assert liveness.status == 200
    assert set(liveness.json) == {"healthy", "service", "uptime"}
    assert (liveness.json["healthy"], liveness.json["service"]) == (True, "synapse")
    assert isinstance(liveness.json["uptime"], int)


@pytest.mark.usefixtures("in_life")
def test_a_probe_without_a_fresh_answer_counts_as_down():
    now = [100.0]
    asked = threading.Event()
    probe = Probe("The database", asked.set, clock=lambda: now[0])
    assert probe.problem() == "The database does not answer."

    probe.step()

    assert asked.is_set()
    assert probe.problem() == ""
    now[0] += FRESH + 0.2
    assert probe.problem() == "The database has not answered for 1.7 s."


def test_a_change_is_told_once(caplog):
    answers = iter(["", "It is down.", "It is down.", ""])

    def ask():
        if problem := next(answers):
            raise SystemDown(problem)

    probe = Probe("It", ask)
    with caplog.at_level("INFO"):
        for _ in range(4):
            probe.step()

    assert [record.getMessage() for record in caplog.records] == ["It is down.", "It works again"]


@pytest.mark.usefixtures("in_life")
def test_a_probe_says_for_how_long_its_system_has_been_down():
    now, answers = [100.0], [True]

    def ask():
        if not answers[0]:
            raise SystemDown("No.")

    probe = Probe("Redis", ask, clock=lambda: now[0])
    found = [probe.down_for()]
    for is_well, seconds in ((True, 1), (False, 1), (False, 1), (True, 1), (True, FRESH + 1)):
        now[0] += seconds
        answers[0] = is_well
        if seconds == 1:
            probe.step()
        found.append(probe.down_for())

    # Not probed yet; well, failed now and a second ago, well again; and then no answer.
    assert found == [None, None, 0.0, 1.0, None, FRESH + 1]
