"""Importing events: lines of JSON, and rows of an export, are published; a dry run checks them alone."""

import io

import orjson
import pytest
from django.core.management import CommandError, call_command

from streams.management.commands import import_events as command
from synapse.publishing import imports
from synapse.schema.pii import MASK
from tests.definitions import key_of
from tests.tables import for_each

NDJSON = {"content-type": "application/x-ndjson"}
ORDER = {"event_type": "order-placed", "order_id": 7}


@pytest.fixture(autouse=True)
def orders(define):
    schema = {"required": ["order_id"], "properties": {"order_id": {"type": "integer", "minimum": 1}}}
    return define("orders", {"order-placed": schema, "order-lost": None})


def send(ask, *lines, query="", headers=NDJSON, stream="orders"):
    body = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    return ask("POST", f"/streams/{stream}/import{query}", body, headers)


def order(number):
    return {**ORDER, "order_id": number}


def order_ids(redis):
    return [fields.get(b"order_id", b"").decode() for _, fields in redis.xrange("orders")]


def test_each_line_is_published(ask, redis):
    answer = send(ask, order(1), order(2), {"event_type": "order-lost"})

    assert answer.status == 200
    assert answer.json == {
        "stream": "orders", "dry_run": False, "lines": 3, "accepted": 3, "repeated": 0, "warned": 0, "rejected": 0,
        "aborted": 0, "errors": [],
    }  # fmt: skip
    assert order_ids(redis) == ["1", "2", ""]


def test_a_bad_line_is_named_by_its_number_and_the_good_ones_are_stored(ask, redis):
    answer = send(ask, order(1), b"", b"  ", b"{not json", order(0), order(2), b"[1]", b"")

    assert answer.status == 207
    assert (answer.json["lines"], answer.json["accepted"], answer.json["rejected"]) == (5, 2, 3)
    assert [error["line"] for error in answer.json["errors"]] == [4, 5, 7]
    assert answer.json["errors"][1]["pointer"] == "/order_id"
    assert order_ids(redis) == ["1", "2"]


def test_a_dry_run_checks_each_line_and_stores_nothing(ask, redis):
    answer = send(ask, order(1), order(0), query="?dry_run=true")

    assert answer.status == 207
    assert (answer.json["dry_run"], answer.json["accepted"], answer.json["errors"][0]["line"]) == (True, 1, 2)
    assert not redis.exists("orders")
    assert redis.keys("syn:{orders}:idem:*") == []


def test_an_import_without_a_good_line_is_refused(ask, redis):
    for query in ("", "?dry_run=true"):
        answer = send(ask, order(0), b"x", query=query)

        assert (answer.status, answer.json["type"]) == (422, "urn:synapse:problem:batch-refused")
        assert [error["line"] for error in answer.json["errors"]] == [1, 2]
        assert answer.json["rejected"] == 2
    assert not redis.exists("orders")


def test_lines_that_were_imported_before_are_not_stored_again_when_others_are_corrected(ask, redis):
    first = send(ask, order(1), order(0), order(2), order(2))

    again = send(ask, order(3), order(1), order(2), order(5), order(2))

    assert first.json["accepted"] == 3
    assert (again.json["accepted"], again.json["repeated"]) == (5, 3)
    assert order_ids(redis) == ["1", "2", "2", "3", "5"]


def test_lines_are_imported_once_more_under_another_key(ask, redis):
    send(ask, order(1))
    keys = [send(ask, order(1), headers={**NDJSON, "idempotency-key": key}).json["repeated"] for key in ("a", "b", "b")]

    assert keys == [0, 0, 1]
    assert order_ids(redis) == ["1", "1", "1"]


def test_a_stream_that_takes_nothing_without_a_key_takes_an_import(ask, redis, define):
    define("orders", idempotency_key="required")

    assert send(ask, order(1)).status == 200
    assert send(ask, order(1), headers={**NDJSON, "idempotency-key": "ä b"}).status == 400


def test_exported_events_are_imported_as_they_were(event_loop_client, redis, define):
    define("copies", {"order-placed": None, "order-lost": None})
    redis.xadd("orders", {"payload": '{"event": "order-lost", "n": 1}', "sender": "shop"}, id="1-0")
    for number in (1, 2):
        event_loop_client("POST", "/events/orders", orjson.dumps({**order(number), "items": [{"a": None}]}))
    exported = event_loop_client("GET", "/export/events?stream=orders&order=oldest").body

    answer = event_loop_client("POST", "/streams/copies/import", exported, NDJSON)

    assert answer.json["accepted"] == 3, answer.json
    copies, originals = (
        event_loop_client("GET", f"/events?stream={name}&order=oldest").json["events"] for name in ("copies", "orders")
    )
    assert [each["event_type"] for each in copies] == ["order-lost", "order-placed", "order-placed"]
    assert [each["event"] for each in copies[1:]] == [each["event"] for each in originals[1:]]


def test_masked_rows_and_the_last_line_of_an_early_end_are_refused(ask, redis):
    row = {"stream": "orders", "id": "1-0", "data": {}, "layout": "flat", "event": {**order(1), "a": [{"b": MASK}]}}

    answer = send(ask, row, {"incomplete": {"reason": "x", "next": "y"}}, {**order(2), "note": f"to {MASK}"}, order(3))

    assert [error["line"] for error in answer.json["errors"]] == [1, 2]
    assert "masked" in answer.json["errors"][0]["message"]
    assert "ended early" in answer.json["errors"][1]["message"]
    assert order_ids(redis) == ["2", "3"]


@pytest.mark.parametrize("masked", [{"note": MASK}, {"notes": [1, {"text": [MASK]}]}, {"event": {"note": MASK}}])
def test_the_event_of_a_masked_row_is_refused_without_its_row_too(ask, redis, masked):
    answer = send(ask, {**order(1), **masked}, order(2))

    assert "masked" in answer.json["errors"][0]["message"]
    assert order_ids(redis) == ["2"]


@pytest.mark.parametrize(
    "part",
    [
        {"stream": "orders", "id": "1-0", "event": order(1)},
        {"id": "1-0", "event_type": "order-placed", "event": order(1), "order_id": 1, "layout": "flat"},
        {"event": order(1)},
    ],
)
def test_a_part_of_a_row_is_refused_and_says_how_a_row_looks(ask, redis, part):
    answer = send(ask, part, order(2))

    assert "a part of a row of an export" in answer.json["errors"][0]["message"]
    assert order_ids(redis) == ["2"]


def test_an_event_that_looks_like_a_row_and_is_none_is_imported_whole(ask, redis):
    event = {"event_type": "order-lost", "id": "1-0", "event": {"x": 1}, "data": {"y": "2"}}

    send(ask, event)

    assert ask("GET", "/events").json["events"][0]["event"] == event


def test_so_many_errors_are_listed_and_all_are_counted(ask):
    answer = send(ask, *[order(0)] * 150, order(1))

    assert len(answer.json["errors"]) == imports.MOST_ERRORS
    assert answer.json["rejected"] == 150


def test_a_caller_without_the_right_to_one_type_imports_the_others(ask, redis, settings):
    settings.AUTH = "required"
    headers = {**NDJSON, "authorization": f"Bearer {key_of('shop', publishes=['orders/order-lost'])}"}

    answer = send(ask, order(1), {"event_type": "order-lost"}, headers=headers)
    refused = send(ask, order(1), headers=headers, stream="nowhere")

    assert (answer.json["accepted"], answer.json["errors"][0]["type"]) == (1, "urn:synapse:problem:forbidden")
    assert refused.status == 403


@for_each(
    "headers, body, status",
    [
        ({"content-type": "application/json"}, b"[{}]", 415),
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "text/csv"}, b"a,b", 415),
        ({}, b"{}", 415),
        (NDJSON, b"", 400),
        (NDJSON, b"\n\n \n", 400),
        (NDJSON, b'{"event_type":"order-lost"}\n' * 10_001, 413),
        (NDJSON, b" " * (8 * 1024 * 1024 + 1), 413),
        (NDJSON, b"\0\n\xff", 422),
    ],
)
def test_a_body_that_is_no_batch_of_lines_is_refused(ask, redis, headers, body, status):
    answer = ask("POST", "/streams/orders/import", body, headers)

    assert answer.status == status
    assert not redis.exists("orders")


def test_a_large_import_names_its_lines(event_loop_client, redis):
    lines = [order(number) for number in range(1, 3001)]
    lines[1500] = lines[2999] = order(0)

    answer = send(event_loop_client, *lines)

    assert [error["line"] for error in answer.json["errors"]] == [1501, 3000]
    assert redis.xlen("orders") == 2998


@pytest.mark.parametrize("query", ["?dry_run=1", "?dry_run=yes", "?atomic=true", "?dry_run=true&dry_run=true"])
def test_a_parameter_that_there_is_not_is_refused(ask, query):
    assert send(ask, order(1), query=query).status == 400


def run(tmp_path, content, *options, stream="orders", name="events.ndjson"):
    file = tmp_path / name
    file.write_bytes(content)
    said = io.StringIO()
    try:
        call_command("import_events", stream, str(file), *options, stdout=said, stderr=said)
    except SystemExit as end:
        return end.code, said.getvalue()
    return 0, said.getvalue()


def test_the_command_imports_a_file_in_parts_and_names_bad_lines(redis, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_PART", 2)
    content = b"".join(orjson.dumps(order(number)) + b"\n" for number in (1, 2, 0, 2, 2, 3))

    status, said = run(tmp_path, b"\n" + content)
    again, repeated = run(tmp_path, content)

    assert (status, again) == (1, 1)
    assert "line 4: " in said
    assert "6 lines imported for “orders”: 5 accepted, 1 rejected." in said
    assert "5 repeated" in repeated
    assert order_ids(redis) == ["1", "2", "2", "2", "3"]


def test_the_command_checks_a_file_alone(redis, tmp_path):
    status, said = run(tmp_path, orjson.dumps(order(1)), "--dry-run")

    assert (status, redis.exists("orders")) == (0, 0)
    assert "1 lines checked" in said


def test_the_command_imports_an_array_and_rows(redis, tmp_path):
    row = {"stream": "orders", "id": "1-0", "data": {}, "layout": "flat", "event": order(2)}

    status, _ = run(tmp_path, orjson.dumps([order(1), row]), "--rate", "1000", name="events.json")

    assert (status, order_ids(redis)) == (0, ["1", "2"])


@pytest.mark.parametrize(
    ("options", "stream"), [(("--rate", "0"), "orders"), ((), "nowhere"), (("--key", "ä"), "orders")]
)
def test_the_command_refuses_unusable_input(redis, tmp_path, options, stream):
    try:
        status, _ = run(tmp_path, orjson.dumps(order(1)), *options, stream=stream)
    except CommandError as error:
        status = error.returncode

    assert status == 2
    assert not redis.exists("orders")
