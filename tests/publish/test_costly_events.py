"""Events that are costly to check against their contract are checked in a child process, not on the event loop."""

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import orjson
import pytest

from streams.connections import shares_of
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.http.exchange import Request
from synapse.publishing import pipeline
from synapse.publishing.deferred_validation import check_in_thread
from synapse.redis.command import Job
from synapse.sandbox import process
from synapse.sandbox.messages import Limits
from synapse.schema.validator import compile_schema
from synapse.shares import CallerId

# Each value is compared with 40 fractions: some 9,000 steps a value by the cost model.
READINGS = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "values": {"items": {"enum": [n + 0.5 for n in range(40)]}}},
}
QUICK, IN_PLACE, COSTLY, TOO_COSTLY = 3, 15, 200, 4_000
CALLER = CallerId("address", "127.0.0.1")


@pytest.fixture(scope="module", autouse=True)
def child():
    """The child that checks events, which tests share, as starting one takes longest."""
    yield process.EVENTS
    process.EVENTS.close()


@pytest.fixture(autouse=True)
def questions(child, monkeypatch):
    """The questions that the child is asked; it is started with the first."""
    asked, send = [], child.send

    def noted(message):
        asked.append(message.question)
        return send(message)

    monkeypatch.setattr(child, "send", noted)
    return asked


@pytest.fixture(autouse=True)
def readings(define):
    return define("readings", {"reading-taken": READINGS})


def reading(values, *, n=1, last=0.5):
    return {"event_type": "reading-taken", "n": n, "values": [*[0.5] * (values - 1), last]}


def post(ask, event, path="/events/readings", **headers):
    return ask("POST", path, orjson.dumps(event), headers)


@contextmanager
def full_queue(*callers):
    """Let callers wait for costly events of theirs, each as often as it may."""
    shares = shares_of("costly-events")
    amounts = {caller: shares.limits.of(caller) for caller in callers}
    for caller, amount in amounts.items():
        shares.take(caller, amount)
    try:
        yield
    finally:
        for caller, amount in amounts.items():
            shares.give_back(caller, amount)


def test_a_costly_event_is_checked_in_the_child_and_stored(ask, redis, child, questions):
    answer = post(ask, reading(COSTLY))

    assert answer.status == 201
    assert "check_event" in questions
    assert child.pid not in (None, os.getpid())
    assert redis.xlen("readings") == 1


@pytest.mark.parametrize("values", [QUICK, IN_PLACE])
@pytest.mark.parametrize(("last", "status"), [(0.5, 201), (99, 422)])
def test_the_child_is_not_asked_about_an_event_that_is_checked_in_milliseconds(ask, questions, values, last, status):
    assert post(ask, reading(values, last=last)).status == status
    assert questions == []


def test_the_child_is_not_asked_about_an_event_that_is_refused_as_too_costly(ask, questions):
    answer = post(ask, reading(TOO_COSTLY))

    assert (answer.status, answer.json["type"]) == (422, "urn:synapse:problem:too-costly")
    assert questions == []


@pytest.mark.parametrize(
    "event", [reading(COSTLY, last=99), reading(COSTLY, n=2**64 - 1, last=-0.0), reading(500, n="é")]
)
def test_a_costly_event_is_refused_in_the_words_of_one_that_is_checked_in_place(ask, questions, event):
    answer = post(ask, event)

    expected = [violation.as_dict() for violation in compile_schema(READINGS).check(event)]
    assert answer.status == 422
    assert answer.json["violations"] == expected
    assert "check_event" in questions


def test_validating_a_costly_event_asks_the_child_and_stores_nothing(ask, redis, questions):
    good, bad = (post(ask, reading(COSTLY, last=last), "/events/readings/validate") for last in (0.5, 99))

    assert (good.status, bad.status) == (200, 422)
    assert "check_event" in questions
    assert redis.xlen("readings") == 0


def test_a_costly_event_published_by_the_pull_protocol_asks_the_child(ask, questions):
    good, bad = (
        post(
            ask,
            {"stream": "readings", "event_type": "reading-taken", "payload": reading(COSTLY, last=last)},
            "/v1/publish",
        )
        for last in (0.5, 99)
    )

    assert (good.status, bad.status) == (200, 422)
    assert "check_event" in questions


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_batch_with_costly_events_is_answered_and_stored_in_its_order(ask, redis, child, kind):
    sizes = [QUICK, COSTLY, QUICK, TOO_COSTLY, IN_PLACE, COSTLY, QUICK, 1_000]
    events = [reading(size, n=n, last=99 if n == 5 else 0.5) for n, size in enumerate(sizes)] * 4
    lines = [orjson.dumps(event) for event in events]
    body = b"\n".join(lines) if kind.endswith("ndjson") else b"[" + b",".join(lines) + b"]"

    answer = ask("POST", "/events/readings", body, {"content-type": kind})

    results = answer.json["results"]
    assert [result["index"] for result in results] == list(range(32))
    assert [result["status"] for result in results[:8]] == [
        *("accepted", "accepted", "accepted", "rejected", "accepted", "rejected", "accepted", "accepted")
    ]
    assert results[3]["errors"][0]["type"] == "urn:synapse:problem:too-costly"
    assert results[5]["errors"][0]["pointer"] == f"/values/{COSTLY - 1}"
    entries = redis.xrange("readings")
    assert [int(fields[b"n"]) for _, fields in entries] == [0, 1, 2, 4, 6, 7] * 4
    assert [result["id"] for result in results if result["id"]] == [id_.decode() for id_, _ in entries]


def test_an_atomic_batch_with_a_bad_costly_event_stores_nothing(ask, redis):
    events = [reading(QUICK), reading(COSTLY, last=99), reading(QUICK)]

    answer = post(ask, events, "/events/readings?atomic=true")

    assert [result["status"] for result in answer.json["results"]] == ["aborted", "rejected", "aborted"]
    assert redis.xlen("readings") == 0


def test_the_costly_events_of_a_batch_share_jobs(redis):
    body = orjson.dumps([reading(size) for size in (COSTLY, QUICK) * 30])
    request = Request(
        method="POST",
        path="/events/readings/validate",
        params={"stream": "readings"},
        headers={"content-type": "application/json"},
        body=body,
        principal=replace(SYSTEM, kind="anonymous", address="127.0.0.1"),
    )
    conversation = pipeline.validate_events(request, holder.refresh())
    jobs, answer = [], None
    try:
        asked = next(conversation)
        while True:
            if isinstance(asked, Job):
                jobs.append(asked)
            asked = conversation.send(asked.work() if isinstance(asked, Job) else [])
    except StopIteration as end:
        answer = end.value

    assert answer.status == 200
    # 200 values take some 1.8 million steps; a job takes 20 million.
    assert 2 <= len(jobs) <= 4
    assert {job.caller for job in jobs} == {CALLER}


@pytest.mark.parametrize(
    ("callers", "status"), [([CALLER], 429), ([CallerId("service", f"service-{n}") for n in range(4)], 503)]
)
def test_a_full_queue_refuses_costly_events_and_lets_cheap_ones_pass(event_loop_client, redis, callers, status):
    with full_queue(*callers):
        refused = post(event_loop_client, reading(COSTLY))
        batch = post(event_loop_client, [reading(QUICK), reading(COSTLY)])
        cheap = post(event_loop_client, reading(QUICK))

    assert (refused.status, refused.headers["retry-after"]) == (status, "1")
    assert (batch.status, cheap.status) == (status, 201)
    assert redis.xlen("readings") == 1


def test_an_event_over_which_the_child_ends_is_too_costly_and_the_next_one_is_checked(ask, redis, child):
    child.close()  # another one has no memory left from earlier events
    with patch.object(child, "limits", Limits(seconds=1, megabytes=1)):
        refused = post(ask, reading(1_500))

    assert (refused.status, refused.json["type"]) == (422, "urn:synapse:problem:too-costly")
    assert post(ask, reading(1_500)).status == 201


def test_an_event_whose_check_reaches_the_limit_of_processor_time_is_too_costly(ask, child):
    assert post(ask, reading(COSTLY)).status == 201
    before = child.pid
    os.kill(before, signal.SIGXCPU)  # as the kernel does at the limit

    refused = post(ask, reading(COSTLY))

    assert (refused.status, refused.json["type"]) == (422, "urn:synapse:problem:too-costly")
    assert post(ask, reading(COSTLY)).status == 201
    assert child.pid != before


def test_a_child_that_was_killed_is_replaced_unseen_and_learns_the_contract_again(ask, child):
    assert post(ask, reading(COSTLY)).status == 201
    os.kill(child.pid, signal.SIGKILL)

    assert post(ask, reading(COSTLY)).status == 201
    assert post(ask, reading(COSTLY, last=99)).status == 422


def test_a_stream_that_warns_stores_costly_events_with_what_they_break(ask, define, redis, questions):
    define("warned", {"reading-taken": READINGS}, enforcement="warn")

    broken = post(ask, reading(COSTLY, last=99), "/events/warned")
    too_costly = post(ask, reading(TOO_COSTLY), "/events/warned")

    assert (broken.status, too_costly.status) == (201, 201)
    assert broken.json["warnings"][0]["pointer"] == f"/values/{COSTLY - 1}"
    assert "more than 0.2 s" in too_costly.json["warnings"][0]["message"]
    assert "check_event" in questions
    assert redis.xlen("warned") == 2


def test_a_thread_asks_the_child_about_a_costly_event(questions):
    stream = holder.refresh().streams["readings"]

    accepted = check_in_thread(stream, reading(COSTLY))

    assert (accepted.event_type, accepted.contract_version) == ("reading-taken", 1)
    assert "check_event" in questions


def test_more_contracts_than_a_child_keeps_are_learned_again(child):
    schemas = [compile_schema({**READINGS, "title": str(number)}) for number in range(40)]

    for schema in [*schemas, *schemas[:2]]:
        assert process.EVENTS.ask("check_event", schema.fingerprint, {"n": 1}, True) == "unknown schema"
        process.EVENTS.ask("learn", schema.fingerprint, schema.document, schema.references)
        assert process.EVENTS.ask("check_event", schema.fingerprint, {"n": 1}, True) is None
