"""`manage.py validate STREAM FILE`: the answers that publishing would give, with nothing stored."""

import json

import pytest

from streams.models import Stream
from streams.snapshot import holder
from synapse.publishing import event_files
from tests.tables import for_each

GOOD, BAD_ONE = {"event_type": "order-placed", "number": 1}, {"event_type": "order-placed", "number": "x"}
SENTENCE = '“number” must be of type integer, but is a string ("x").'

pytestmark = pytest.mark.usefixtures("orders")


def lines(*events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def answers(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_good_event_is_accepted_and_nothing_is_stored(run, redis):
    ran = run("validate", "orders", "-", given=json.dumps(GOOD, indent=2).encode())

    assert (ran.status, answers(ran)) == (0, [{"index": 0, "status": "accepted", "errors": []}])
    assert ran.err.strip() == "1 event for “orders”: 1 accepted."
    assert not redis.exists("orders")


def test_a_bad_event_is_refused_with_the_words_of_publishing_and_status_1(run, ask):
    asked = ask("POST", "/events/orders/validate", json.dumps([GOOD, BAD_ONE]))

    ran = run("validate", "orders", "-", given=json.dumps([GOOD, BAD_ONE]).encode())

    assert ran.status == 1
    assert [found["errors"] for found in answers(ran)] == [found["errors"] for found in asked.json["results"]]
    assert answers(ran)[1]["errors"][0]["message"] == SENTENCE


def test_events_a_line_each_are_told_by_their_lines(run):
    ran = run("validate", "orders", "-", given=b"\n" + lines(GOOD, BAD_ONE) + b"\n{oops\n5\n")

    assert ran.status == 1
    assert [(found["index"], found["line"], found["status"]) for found in answers(ran)] == [
        (0, 2, "accepted"),
        (1, 3, "rejected"),
        (2, 5, "rejected"),
        (3, 6, "rejected"),
    ]
    assert ran.err.strip() == "4 events for “orders”: 1 accepted, 3 refused."


def test_a_person_at_a_terminal_reads_a_line_for_each_event(run):
    ran = run("validate", "orders", "-", given=lines(GOOD, BAD_ONE), terminal=True)

    assert ran.out.splitlines() == ["line 1     accepted", f"line 2     refused {SENTENCE}"]


def test_every_violation_is_shown_below_the_first(run):
    ran = run(
        "validate", "orders", "-", given=b'{"event_type": "order-placed", "number": 1.5, "event": 2}', terminal=True
    )

    assert len(ran.out.splitlines()) == 1
    ran = run("validate", "orders", "-", given=b'[{"event_type": "order-packed"}, {}]', terminal=True)
    assert ran.out.splitlines() == ["event 1    accepted", "event 2    refused The event has no “event_type”."]


def test_an_invalid_event_for_a_stream_that_warns_is_accepted_with_a_warning(run):
    Stream.objects.update(enforcement="warn")
    holder.forget()

    ran = run("validate", "orders", "-", given=lines(GOOD, BAD_ONE))

    assert ran.status == 0
    assert answers(ran)[1]["warnings"][0]["message"] == SENTENCE
    assert ran.err.strip() == "2 events for “orders”: 1 accepted, 1 warned."


def test_a_file_of_lines_may_be_longer_than_a_batch(run, tmp_path, monkeypatch):
    monkeypatch.setattr(event_files, "MAX_BATCH_ITEMS", 3)
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(*[GOOD] * 7, BAD_ONE))

    ran = run("validate", "orders", file)

    assert [(found["index"], found["line"]) for found in answers(ran)] == [(n, n + 1) for n in range(8)]
    assert (ran.status, answers(ran)[7]["status"]) == (1, "rejected")


def test_a_line_that_is_longer_than_a_batch_is_refused_alone(run):
    long = {**GOOD, "note": "x" * 9_000_000}

    ran = run("validate", "orders", "-", given=lines(GOOD, long, GOOD))

    assert [found["status"] for found in answers(ran)] == ["accepted", "rejected", "accepted"]
    assert "bytes long" in answers(ran)[1]["errors"][0]["message"]


def test_a_single_line_in_a_file_of_lines_is_an_event_that_may_be_refused(run, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("{oops\n")

    assert run("validate", "orders", file).status == 1


UNUSABLE = {
    "a stream that is not defined": ("nowhere", "-", lines(GOOD), "There is no stream “nowhere”."),
    "nothing": ("orders", "-", b" \n\n", "There are no events in it."),
    "an empty array": ("orders", "-", b"[]", "holds no events"),
    "no JSON": ("orders", "-", b"{oops", "Not valid JSON"),
    "bytes": ("orders", "-", b"\xff\xfe\x00", "not UTF-8"),
    "an array that is too long": ("orders", "-", b"[" + b"{},\n" * 3_000_000 + b"{}]", "are accepted"),
    "a file that is not there": (
        "orders",
        "no/such.json",
        b"",
        "no/such.json cannot be read: no such file or directory.",
    ),
    "a folder": ("orders", "/", b"", "/ cannot be read: is a directory."),
}


@for_each("stream, file, given, reason", UNUSABLE.values())
def test_unusable_input_ends_validate_with_the_reason_and_status_2(run, stream, file, given, reason):
    ran = run("validate", stream, file, given=given)

    assert (ran.status, ran.out) == (2, "")
    assert reason in ran.err


def test_a_value_that_is_no_object_is_an_event_that_is_refused(run):
    ran = run("validate", "orders", "-", given=b"5")

    assert (ran.status, answers(ran)[0]["errors"][0]["message"]) == (1, "An event is a JSON object.")
