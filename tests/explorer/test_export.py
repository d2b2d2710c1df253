"""Exporting what a search finds: `GET /export/events`, as lines of JSON and as a table."""

import csv
import io
from dataclasses import replace
from urllib.parse import quote

import orjson
import pytest

from core import payload_access
from streams.access import identify
from streams.api.explorer import export_events
from streams.connections import shares_of
from streams.live.export import ExportSession
from streams.live.export import answer_export as send_export
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.explorer import export
from synapse.explorer.export import Lines, Table
from synapse.http.exchange import Request
from synapse.redis import RedisUnreachable
from synapse.shares import CallerId
from tests.definitions import key_of
from tests.tables import for_each


@pytest.fixture(autouse=True)
def shop(define):
    for name in ("orders", "payments"):
        define(name, {f"{name}-event": None})


def fill(redis, each=5):
    for number in range(1, each + 1):
        redis.xadd("orders", {"event_type": "orders-event", "n": number}, id=f"{number}00-0")
        redis.xadd("payments", {"event_type": "payments-event", "n": number}, id=f"{number}50-0")


def ask_for(client, headers=None, **query):
    text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    return client("GET", f"/export/events?{text}", b"", headers or {})


def lines(answer):
    assert answer.status == 200, answer.body
    return [orjson.loads(line) for line in answer.body.splitlines()]


def table(answer):
    assert answer.status == 200, answer.body
    return list(csv.reader(io.StringIO(answer.body.decode(), newline="")))


def test_lines_are_the_rows_that_a_search_finds(event_loop_client, redis):
    fill(redis)

    exported = ask_for(event_loop_client, order="oldest")

    assert lines(exported) == event_loop_client("GET", "/events?order=oldest").json["events"]
    assert exported.headers["content-type"] == "application/x-ndjson"
    assert exported.headers["content-disposition"] == 'attachment; filename="events.ndjson"'
    assert exported.headers["cache-control"] == "no-store"


def test_an_export_of_many_parts_has_every_event_once(event_loop_client, redis, monkeypatch):
    monkeypatch.setattr(export, "PART_ENTRIES", 3)
    fill(redis, each=20)

    exported = lines(ask_for(event_loop_client, order="oldest"))

    assert [each["id"] for each in exported] == [
        each["id"] for each in event_loop_client("GET", "/events?order=oldest&count=100").json["events"]
    ]
    assert len(exported) == 40


def test_an_export_has_what_the_search_finds_and_nothing_else(event_loop_client, redis):
    fill(redis)

    assert lines(ask_for(event_loop_client, q="nothing of the kind")) == []
    found = lines(ask_for(event_loop_client, stream="orders", q="3", event_type="orders-event", since="200-0"))
    assert [each["event"]["n"] for each in found] == [3]
    assert [each["id"] for each in lines(ask_for(event_loop_client, filter="event.n == 4"))] == ["450-0", "400-0"]


def test_a_table_has_the_columns_that_are_asked_for(event_loop_client, redis):
    redis.xadd(
        "orders", {"event_type": "orders-event", "n": "7", "customer": '{"name": "Ann", "a.b": [1, 2]}'}, id="1-0"
    )
    redis.xadd("payments", {"event_type": "payments-event", "paid": "true", "note": 'a "b", c\r\nd'}, id="2-0")

    rows = table(
        ask_for(
            event_loop_client,
            format="csv",
            order="oldest",
            columns="stream,id,event.customer.name,event.customer.a.b.1,event.note,data.n,event.nothing.there, layout",
        )
    )

    assert rows == [
        ["stream", "id", "event.customer.name", "event.customer.a.b.1", "event.note", "data.n", "event.nothing.there",
         "layout"],
        ["orders", "1-0", "Ann", "2", "", "7", "", "foreign"],
        ["payments", "2-0", "", "", 'a "b", c\r\nd', "", "", "foreign"],
    ]  # fmt: skip


def test_a_table_without_columns_has_the_usual_ones(event_loop_client, redis):
    redis.xadd("orders", {"event_type": "orders-event", "n": "x"}, id="1-0")

    answer = ask_for(event_loop_client, format="csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.body == (
        b"stream,id,event_type,timestamp,source,event\r\n"
        b'orders,1-0,orders-event,,,"{""event_type"":""orders-event"",""n"":""x""}"\r\n'
    )


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "#incomplete"])
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(begin):
    written = Table(["event.a"]).row_line({"event": {"a": f"{begin}cmd|' /C calc'!A0"}})

    ((field,),) = csv.reader(io.StringIO(written.decode(), newline=""))
    assert field == f"'{begin}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("value", "field"), [(-5, "-5"), (True, "true"), (None, ""), ("a=1", "a=1"), ({"a": "="}, '{"a":"="}')]
)
def test_other_values_are_written_as_they_are(value, field):
    written = Table(["event.a"]).row_line({"event": {"a": value}})

    # A line with one empty field is written with quotes, for an empty line would be none.
    assert list(csv.reader(io.StringIO(written.decode(), newline=""))) == [[field]]


def test_a_column_that_begins_like_a_formula_is_no_formula_either():
    assert Table(["event.=1"]).header() == b"event.=1\r\n"
    assert Table(["=1"]).header() == b"'=1\r\n"


@for_each(
    "query, parameter",
    [
        ({"format": "csv", "columns": "nothing"}, "columns"),
        ({"format": "csv", "columns": "id.x"}, "columns"),
        ({"format": "csv", "columns": "id,,stream"}, "columns"),
        ({"format": "csv", "columns": ",".join(["id"] * 101)}, "columns"),
        ({"format": "csv", "columns": "event." + "x" * 300}, "columns"),
        ({"columns": "id"}, "columns"),
        ({"format": "xlsx"}, "format"),
        ({"count": 5}, "count"),
        ({"next": "x"}, "next"),
        ({"stream": ",".join(f"s{number}" for number in range(301))}, "stream"),
    ],
)
def test_an_export_that_cannot_be_is_refused_on_both_ways_in(ask, query, parameter):
    answer = ask_for(ask, **query)

    assert (answer.status, answer.json["parameter"]) == (400, parameter)


def test_django_alone_says_that_the_event_loop_exports(client):
    answer = client.get("/export/events")

    assert (answer.status_code, answer.json()["type"]) == (501, "urn:synapse:problem:lane-only")


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_an_export_that_ends_at_its_bound_says_where_another_one_continues(event_loop_client, redis, monkeypatch, form):
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    monkeypatch.setattr(export, "MOST_EXPORTED", 4)
    fill(redis)

    answer = ask_for(event_loop_client, format=form, order="oldest")

    if form == "csv":
        *_, (mark, reason, cursor) = rows = table(answer)
        assert (mark, len(rows)) == ("#incomplete", 6)
    else:
        *_, last = rows = lines(answer)
        assert (list(last), len(rows)) == (["incomplete"], 5)
        reason, cursor = last["incomplete"]["reason"], last["incomplete"]["next"]
    assert "4 entries" in reason
    monkeypatch.undo()
    rest = lines(ask_for(event_loop_client, order="oldest", next=cursor))
    assert [each["id"] for each in rest] == ["300-0", "350-0", "400-0", "450-0", "500-0", "550-0"]


def test_a_stream_that_cannot_be_read_makes_an_export_incomplete(event_loop_client, redis):
    fill(redis, each=1)
    redis.delete("orders")
    redis.set("orders", "a text")

    row, last = lines(ask_for(event_loop_client))

    assert row["stream"] == "payments"
    assert "orders" in last["incomplete"]["reason"]
    assert ask_for(event_loop_client, stream="orders").status == 409


def test_a_key_that_is_revoked_meanwhile_exports_no_further(event_loop_client, redis, settings, monkeypatch):
    settings.AUTH = "required"
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    fill(redis)
    headers = {"authorization": f"Bearer {key_of('reader', subscribes=['orders', 'payments'])}"}
    without_keys = replace(holder.current(), keys={}, keys_by_id={})
    request = Request(method="GET", path="", principal=identify(headers))

    async def export_and_revoke():
        chunks = ExportSession(export_events.check_request(request, holder.current())).chunks()
        first = await anext(chunks)
        monkeypatch.setattr(holder, "current", lambda: without_keys)
        return first + b"".join([chunk async for chunk in chunks])

    *rows, last = map(orjson.loads, event_loop_client.run(export_and_revoke()).splitlines())

    assert len(rows) == 2
    assert "not good any more" in last["incomplete"]["reason"]


def test_a_caller_has_a_share_of_all_exports(event_loop_client, redis, settings):
    settings.AUTH = "required"
    headers = {"authorization": f"Bearer {key_of('reader', subscribes=['orders'])}"}
    shares = shares_of("event-exports")

    with shares.holding(CallerId("service", "reader"), shares.limits.per_caller):
        refused = ask_for(event_loop_client, headers)

    assert (refused.status, refused.json["resource"]) == (429, "event-exports")
    assert ask_for(event_loop_client, headers).status == 200
    assert shares.used == 0


def test_an_entry_that_is_nested_too_deep_for_json_is_exported_as_its_texts():
    deep = []
    for _ in range(2000):
        deep = [deep]
    row = {"stream": "orders", "id": "1-0", "data": {"a": "b"}, "event": {"deep": deep}}

    assert orjson.loads(Lines().row_line(row))["event"] == {"a": "b"}
    assert Table(["id", "event"]).row_line(row) == b"1-0,\r\n"


def test_a_caller_who_goes_away_leaves_nothing_behind(event_loop_client, redis, monkeypatch):
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    fill(redis)
    shares = shares_of("event-exports")
    request = Request(method="GET", path="")

    async def export_and_leave():
        chunks = ExportSession(export_events.check_request(request, holder.current())).chunks()
        await anext(chunks)
        held = shares.used
        await chunks.aclose()
        return held

    assert event_loop_client.run(export_and_leave()) == 1
    assert shares.used == 0


def test_an_export_of_a_person_is_recorded_before_its_first_part(event_loop_client, redis, monkeypatch):
    fill(redis)
    recorded = []
    monkeypatch.setattr(payload_access, "record_exporting", lambda by, streams: recorded.append((by.name, [*streams])))
    people = [Principal(kind=kind, name="anna") for kind in ("person", "service")]

    for by in people:
        call = export_events.check_request(Request(method="GET", path="", principal=by), holder.current())
        response = event_loop_client.run(begin(call))
        assert response.first

    assert recorded == [("anna", ["orders", "payments"])]


async def begin(call):
    response = await send_export(call)
    await response.chunks.aclose()
    return response


def test_events_that_are_trimmed_before_they_are_read_make_an_export_incomplete(event_loop_client, redis, monkeypatch):
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    fill(redis)
    request = Request(method="GET", path="", query={"order": "oldest"}, raw_query="order=oldest")

    async def export_and_trim():
        chunks = ExportSession(export_events.check_request(request, holder.current())).chunks()
        first = await anext(chunks)
        redis.xtrim("orders", maxlen=1, approximate=False)
        return first + b"".join([chunk async for chunk in chunks])

    *rows, last = map(orjson.loads, event_loop_client.run(export_and_trim()).splitlines())

    assert [each["id"] for each in rows if each["stream"] == "orders"] == ["100-0", "500-0"]
    assert last["incomplete"]["reason"] == "orders: Events were trimmed before they were read."
    assert last["incomplete"]["next"] == ""


def test_several_callers_export_at_a_time(event_loop_client, redis, monkeypatch):
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    fill(redis)
    request = Request(method="GET", path="")

    async def export_three_times():
        every = [ExportSession(export_events.check_request(request, holder.current())).chunks() for _ in range(3)]
        begun = [await anext(chunks) for chunks in every]
        return [first + b"".join([chunk async for chunk in chunks]) for first, chunks in zip(begun, every, strict=True)]

    exported = event_loop_client.run(export_three_times())

    assert len(set(exported)) == 1
    assert len(exported[0].splitlines()) == 10


def test_redis_that_fails_meanwhile_ends_an_export_with_its_reason(event_loop_client, redis, monkeypatch):
    monkeypatch.setattr(export, "PART_ENTRIES", 2)
    fill(redis)
    request = Request(method="GET", path="")

    async def export_and_fail():
        chunks = ExportSession(export_events.check_request(request, holder.current())).chunks()
        first = await anext(chunks)
        monkeypatch.setattr(export.Export, "next_part", fail)
        return first + b"".join([chunk async for chunk in chunks])

    *rows, last = map(orjson.loads, event_loop_client.run(export_and_fail()).splitlines())

    assert len(rows) == 2
    assert last["incomplete"]["next"]
    assert "Redis" in last["incomplete"]["reason"]


def fail(*_):
    raise RedisUnreachable("Redis cannot be reached.")
    yield
