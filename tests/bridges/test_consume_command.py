"""`manage.py consume` as a person runs it: a process of its own, with its signals, pipes and exit codes."""

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py

from tests.bridges.installation import Installation
from tests.patience import eventually
from tests.ports import free_port
from tests.valkey import PASSWORD

STREAM = "inference-events"
KEYS = "syn:{inference-events}"


@pytest.fixture
def start(installation: Installation) -> Callable[..., subprocess.Popen[str]]:
    """Start `manage.py consume inference-events` with more arguments; `url` is another server's."""

    def start(*arguments: str, url: str = "") -> subprocess.Popen[str]:
        return installation.consume(*(arguments or (STREAM,)), **({"REDIS_URL": url} if url else {}))

    return start


def publish(redis: redis_py.Redis, count: int, size: int = 1) -> list[str]:
    with redis.pipeline(transaction=False) as pipeline:
        for n in range(count):
            pipeline.xadd(STREAM, {"event_type": "inference-complete", "n": n, "text": "x" * size})
        return [id_.decode() for id_ in pipeline.execute()]


def printed(process: subprocess.Popen[str], within: float = 180) -> list[dict[str, Any]]:
    """Return what a process printed until it ended well."""
    out, err = process.communicate(timeout=within)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return [json.loads(line) for line in out.splitlines()]


def test_consume_prints_events_as_they_arrive_and_stops_at_once_on_sigterm(redis, start):
    process = start()
    ids = publish(redis, 2)

    lines = [json.loads(process.stdout.readline()) for _ in ids]
    eventually(lambda: redis.info("clients")["blocked_clients"])  # it waits for the next event
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)

    assert [line["id"] for line in lines] == ids
    assert lines[1]["event"] == {"event_type": "inference-complete", "n": 1, "text": "x"}
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "Printed 2 events of “inference-events”."
    assert redis.xinfo_consumers(STREAM, "console") == []
    assert redis.hget(f"{KEYS}:cnt:console", "done") == b"2"


def test_after_kill_9_the_next_run_prints_events_in_flight_at_once(redis, start):
    ids = publish(redis, 100, size=2000)
    # Nobody reads its pipe: it stands in the middle of its batch.
    killed = start()
    eventually(lambda: redis.exists(STREAM) and redis.xinfo_groups(STREAM))
    eventually(lambda: redis.xpending(STREAM, "console")["pending"])
    killed.kill()
    killed.wait()
    in_hand = {row["message_id"].decode() for row in redis.xpending_range(STREAM, "console", "-", "+", 100)}

    lines = printed(start(STREAM, "--drain"))

    settled = 100 - len(lines)
    assert {line["id"] for line in lines} == set(ids[settled:])
    assert {line["id"] for line in lines if line["attempt"] == 2} == in_hand
    assert redis.xinfo_consumers(STREAM, "console") == []
    assert redis.exists(f"{KEYS}:due:console", f"{KEYS}:msg:console") == 0


def test_consume_ends_without_error_when_its_reader_closes_and_prints_the_rest_next_time(redis, start):
    ids = publish(redis, 300, size=2000)
    process = start()
    first = process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=120)
    err = process.stderr.read()

    assert process.returncode == 0
    assert "Traceback" not in err
    assert "Printed" in err
    assert json.loads(first)["id"] == ids[0]
    settled = int(redis.hget(f"{KEYS}:cnt:console", "done") or 0)
    rest = {line["id"] for line in printed(start(STREAM, "--drain"))}
    assert rest == set(ids[settled:])
    assert rest


def test_consume_waits_for_redis_reports_each_try_and_can_be_stopped_meanwhile(start):
    process = start(url=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")

    tries = [process.stderr.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)

    assert all(line.startswith("Redis cannot be reached: ") and "Next try in 0." in line for line in tries)
    assert process.wait(timeout=120) == 0


def test_a_consumer_in_the_background_of_a_script_is_stopped_by_sigint_too(redis, start, installation, monkeypatch):
    monkeypatch.setattr(installation, "interrupts", signal.SIG_IGN)
    process = start()
    publish(redis, 1)
    process.stdout.readline()

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=120) == 0
    assert process.stderr.read().endswith("Printed 1 event of “inference-events”.\n")


def test_an_undefined_stream_is_refused_with_a_similar_one_that_is_defined(redis, start):
    redis.xadd("inference-event", {"n": 1})
    process = start("inference-event")
    out, err = process.communicate(timeout=120)

    assert process.returncode == 1
    assert out == ""
    assert err == (
        "CommandError: There is no stream “inference-event”. Did you mean “inference-events”? Streams are defined in "
        "the admin, or with `manage.py catalog apply FILE`.\n"
    )


def test_an_existing_group_is_not_moved_by_the_option_from(redis, start):
    publish(redis, 3)
    redis.xgroup_create(STREAM, "console", "0")

    process = start(STREAM, "--from", "beginning")
    out, err = process.communicate(timeout=120)

    assert process.returncode == 1
    assert out == ""
    assert "exists and keeps its position" in err.splitlines()[-1]


def test_a_new_group_begins_where_it_is_told_and_ends_after_a_count(redis, start):
    ids = publish(redis, 5)

    process = start(STREAM, "--from", ids[1], "--count", "3", "--group", "audit", "--consumer", "printer")

    assert [line["id"] for line in printed(process)] == ids[1:4]
