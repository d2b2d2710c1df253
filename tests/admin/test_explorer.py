"""The explorer shows events of many streams: merged by time, as far as the person may see them, at one address."""

import csv
import time
from urllib.parse import parse_qsl

import orjson
import pytest

from core.models import AuditEntry
from streams import connections
from streams.admin.events.explorer_rows import line_of, properties_of, value_text
from streams.admin.events.explorer_state import ExplorerState, request_for
from streams.snapshot import holder
from synapse.explorer.export import ExportQuery, Table, columns_of
from synapse.redis import keyspace
from synapse.statistics.sampler import Sampler
from tests.admin.pages import text_of, url
from tests.definitions import define

SCHEMA = {
    "properties": {
        "event_type": {"const": "order-placed"},
        "n": {"type": "integer"},
        "customer": {"properties": {"email": {"type": "string", "x-pii": True}, "tier": {"enum": ["gold", "silver"]}}},
    }
}
EXPLORER = "/admin/streams/stream/explorer/"
SEES = ("streams.view_stream", "streams.view_payload")


@pytest.fixture
def streams(db, redis):
    return define("orders", {"order-placed": SCHEMA}), define("payments", {"paid": None})


@pytest.fixture
def events(redis, streams):
    """Four events of two streams, in turn, as ids."""
    for place in range(4):
        stream, event_type = (("orders", "order-placed"), ("payments", "paid"))[place % 2]
        event = {"event_type": event_type, "n": str(place), "customer": orjson.dumps({"email": "anna@example.org"})}
        redis.xadd(stream, event, id=f"{1_705_314_600_000 + place}-0")
    return [f"{1_705_314_600_000 + place}-0" for place in range(4)]


def shown(client, **query):
    page = client.get(EXPLORER, query, follow=True)
    assert page.status_code == 200
    return page


def ids(page):
    return [row["id"] for row in page.context["rows"]]


def test_events_of_all_streams_are_merged_by_time(admin_client, events):
    assert ids(shown(admin_client)) == events[::-1]
    assert ids(shown(admin_client, order="oldest")) == events
    assert ids(shown(admin_client, stream=["orders"])) == [events[2], events[0]]
    assert ids(shown(admin_client, stream=["orders", "payments"])) == events[::-1]
    assert ids(shown(admin_client, event_type="paid")) == [events[3], events[1]]
    assert ids(shown(admin_client, q="ANNA@", stream="payments")) == [events[3], events[1]]
    assert ids(shown(admin_client, since="1705314600002")) == [events[3], events[2]]
    assert ids(shown(admin_client, range="15m")) == []


def test_a_row_has_its_time_id_type_stream_and_event(admin_client, events):
    text = text_of(shown(admin_client, q="anna"))

    assert f'{events[3]} paid payments {{"n":3,"customer":{{"email":" anna @example.org"}}}}' in text


def test_columns_have_the_values_at_their_paths(admin_client, events):
    page = shown(admin_client, stream="orders", column=["n", "customer.email", "customer.tier"])

    assert page.context["rows"][0]["values"] == [
        ("n", "2"),
        ("customer.email", "anna@example.org"),
        ("customer.tier", ""),
    ]


def test_properties_of_the_contracts_are_offered_as_columns(admin_client, streams):
    fields = shown(admin_client, stream="orders").context["fields"]

    assert [each["path"] for each in fields["properties"]] == ["n", "customer.email", "customer.tier"]
    assert [each["text"] for each in fields["examples"]] == [
        'event.customer.tier == "gold"',
        "event.n > 100",
        'event.customer.email.contains("a")',
    ]


def test_a_sent_form_redirects_to_the_canonical_address_of_its_state(admin_client, events):
    form = "stream=*&q=&filter=&event_type=&order=newest&range=1h&since=2024-01-01T00:00&until="

    answer = admin_client.get(f"{EXPLORER}?{form}&preset=15m&columns=a, b&x=1")

    assert (answer.status_code, answer["Location"]) == (302, f"{EXPLORER}?range=15m&column=a&column=b")
    assert admin_client.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "stream=a&stream=b&q=x&filter=event.n+%3E+1&event_type=t&order=oldest&column=a.b&column=c%2Cd&next=z",
        "range=30d",
        "since=1&until=2024-01-15T10:30:00Z",
        "q=%E2%80%AE%26%3D%23",
    ],
)
def test_the_address_of_a_state_is_read_as_the_state(query):
    state = ExplorerState.from_query(query)

    assert ExplorerState.from_query(state.query) == state
    assert sorted(parse_qsl(state.query)) == sorted(parse_qsl(query))


def test_a_link_continues_the_search(admin_client, redis, streams):
    redis_ids = [redis.xadd("orders", {"event_type": "order-placed", "n": place}).decode() for place in range(40)]

    first = shown(admin_client)
    second = admin_client.get(EXPLORER + first.context["further"])

    assert ids(first) + ids(second) == redis_ids[::-1]
    assert second.context["further"] == ""
    assert second.context["begin"] == "?"
    assert "Scanned 15 events , to the end ." in text_of(second)


def test_the_progress_of_a_search_shows_the_time_that_it_reached(admin_client, redis, streams):
    with redis.pipeline() as pipeline:
        for place in range(10_050):
            pipeline.xadd("orders", {"event_type": "order-placed", "n": place}, id=f"{1_705_314_600_000 + place}-0")
        pipeline.execute()

    page = shown(admin_client, q="none has this")

    assert "0 events so far Scanned 10 000 events back to 2024-01-15 10:30:00.050 ." in text_of(page)
    assert "Nothing found in the newest 10 000 events. Continue to look further back." in text_of(page)


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ({"since": "yesterday"}, "since", "“since” is an entry id"),
        ({"stream": "nowhere"}, None, "nowhere"),
        ({"next": "somewhere"}, None, "“next” is not a cursor of an earlier response"),
        ({"q": "x" * 501}, "q", "“q” is at most 500 characters."),
    ],
)
def test_an_error_is_shown_at_its_field(admin_client, streams, query, field, said):
    page = shown(admin_client, **query)

    assert said in text_of(page)
    assert (field is None) or field in page.context["errors"]


def test_an_empty_result_shows_the_reason_and_a_next_step(admin_client, streams):
    assert "No event yet." in text_of(shown(admin_client))
    assert "Publish a test event: paid ." in text_of(shown(admin_client, stream="payments"))
    assert "No event in this time. Search any time" in text_of(shown(admin_client, range="1h"))
    assert "No event matches." in text_of(shown(admin_client, q="x"))
    assert "event.n > 100" in text_of(shown(admin_client, stream="orders"))


def test_an_older_address_of_a_streams_messages_redirects_to_the_explorer(admin_client, streams):
    orders, _ = streams
    address = url("streams.stream", "messages", orders.pk)

    answer = admin_client.get(address, {"event_type": "order-placed", "order": "oldest", "before": "5-1"})

    assert answer["Location"] == f"{EXPLORER}?stream=orders&event_type=order-placed&until=5-1&order=oldest"
    assert "Statistics Messages Groups Refusals Definition" in text_of(admin_client.get(address, follow=True))


class TestRights:
    """A person sees as much as their permissions allow, at every address."""

    def test_pii_is_masked_and_not_searched(self, client_who_may, events):
        client = client_who_may(*SEES)

        page = shown(client, stream="orders", column="customer.email")

        assert "anna@" not in page.content.decode()
        assert [dict(row["values"])["customer.email"] for row in page.context["rows"]] == ["•••", "•••"]
        assert ids(shown(client, stream="orders", q="anna")) == []
        assert len(ids(shown(client, stream="orders", q="•••"))) == 2

    def test_a_person_without_payload_access_sees_numbers_and_no_contents(self, client_who_may, events):
        page = shown(client_who_may("streams.view_stream"), q="anna", range="24h")

        text = text_of(page)
        assert "You see how many events there are." in text
        assert "orders 2" in text
        assert "payments 2" in text
        assert "example.org" not in page.content.decode()
        assert "order-placed" not in text
        assert not AuditEntry.objects.filter(action="see payloads").exists()

    def test_a_person_who_may_not_view_streams_cannot_open_the_explorer(self, client_who_may, events):
        assert client_who_may("contracts.view_contract").get(EXPLORER).status_code == 403

    def test_the_events_that_a_person_sees_are_recorded_by_stream(self, admin_client, events):
        shown(admin_client)

        seen = {entry.target: entry.after["ids"] for entry in AuditEntry.objects.filter(action="see payloads")}
        assert seen == {"stream orders": [events[2], events[0]], "stream payments": [events[3], events[1]]}


def test_hostile_texts_are_shown_as_text(admin_client, redis, streams):
    script, turn = "<script>alert(1)</script>", "\u202e"
    redis.xadd(
        "orders", {"event_type": script, "source": turn, script: f"</pre>{script}{turn}\x1b[2J", b"\xff": b"\xfe"}
    )

    page = shown(admin_client, q=script, column=script, event_type=script)
    everything = shown(admin_client, column=script)

    for each in (page, everything):
        html = each.content.decode()
        assert script not in html
        assert turn not in html
        assert "\x1b" not in html
    assert len(ids(everything)) == 1


def test_an_event_nested_deeper_than_json_can_be_written_is_shown(admin_client, redis, streams):
    redis.xadd("orders", {"event_type": "x", "deep": "[" * 600 + "]" * 600})

    assert len(ids(shown(admin_client))) == 1


def test_an_entry_whose_id_is_beyond_the_calendar_is_shown(admin_client, redis, streams):
    redis.xadd("orders", {"event_type": "x"}, id="1705314600000000000-0")

    page = shown(admin_client)

    assert ids(page) == ["1705314600000000000-0"]
    assert page.context["histogram"]["rows"][0]["begin"] is None


def test_the_explorer_without_redis_names_redis(admin_client, no_redis):
    define("orders")

    assert "Redis" in text_of(shown(admin_client))


def test_a_page_asks_redis_in_few_round_trips(admin_client, round_trips, events):
    del round_trips[:]

    shown(admin_client)

    assert len(round_trips) <= 2


def test_a_histogram_counts_the_found_events_and_links_to_its_intervals(admin_client, events):
    histogram = shown(admin_client).context["histogram"]

    assert sum(row["count"] for row in histogram["rows"]) == 4
    first = ExplorerState.from_query(histogram["rows"][0]["url"].removeprefix("?"))
    assert int(first.since) <= 1_705_314_600_000 <= int(first.until)


def test_a_histogram_of_a_range_has_all_events_that_were_stored(admin_client, client_who_may, redis, streams):
    clock = [time.time() - 20]
    sampler = Sampler(connections.executor, lambda: ["orders", "payments"], clock=lambda: clock[0])
    for _ in range(4):
        for name, count in (("orders", 5), ("payments", 2)):
            redis.hincrby(keyspace.stats(name), "published", count)
        assert sampler.step()
        clock[0] += 5

    def counted(client, **query):
        histogram = shown(client, **query).context["histogram"]
        return histogram and (histogram["title"], sum(row["count"] for row in histogram["rows"]))

    # The first sample has nothing before it to be compared with.
    assert counted(admin_client, range="15m") == ("Events stored", 21)
    assert counted(admin_client, range="15m", stream="orders") == ("Events stored", 15)
    assert counted(admin_client, range="15m", q="x") is None
    viewer = client_who_may("streams.view_stream")
    assert counted(viewer, range="15m", stream="payments", q="x") == ("Events stored", 6)


def test_a_filter_selects_events_and_the_error_of_a_wrong_one_names_the_position(admin_client, client_who_may, events):
    assert ids(shown(admin_client, filter="event.n > 1")) == [events[3], events[2]]
    masked = client_who_may(*SEES)
    assert ids(shown(masked, stream="orders", filter='event.customer.email.contains("anna")')) == []

    page = shown(admin_client, filter="event.n >> 1")

    assert page.context["errors"]["place"] == {"before": "event.n >", "at": ">", "after": " 1", "position": 10}
    assert "At character 10" in text_of(page)
    assert 'data-error-at="10"' in page.content.decode()


@pytest.mark.parametrize(
    ("event", "path", "text"),
    [
        ({"a": {"b": 1}}, "a.b", "1"),
        ({"a": [{"b": "x"}]}, "a.0.b", "x"),
        ({"a.b": True, "a": {"b": 2}}, "a.b", "true"),
        ({"a": {"b.c": 5}}, "a.b.c", "5"),
        ({"a.b": {"c": 6}}, "a.b.c", "6"),
        ({"a": None}, "a", "null"),
        ({"a": {"b": [1]}}, "a", '{"b":[1]}'),
        ({"a": [1]}, "a.1", ""),
        ({"a": [1]}, "a.²", ""),
        ({"a": "x"}, "a.0", ""),
        ({"a": "\u202e"}, "a", "\\u202e"),
        ("text", "a", ""),
    ],
)
def test_a_column_and_an_exported_table_show_the_value_at_its_path(event, path, text):
    assert value_text(event, path) == text
    if text not in ("null", "\\u202e"):
        assert list(csv.reader([Table([f"event.{path}"]).row_line({"event": event}).decode()])) == [[text]]


def test_the_line_of_an_event_is_cut_around_the_searched_text():
    line = line_of({"event_type": "x", "a": "b" * 1_000, "c": "Found"}, "found")

    assert (line.found, line.after) == ("Found", '"}')
    assert line.before.startswith("…bbb")
    assert len(line.before) < 50
    assert line_of({"a": "b" * 1_000}, "").before.endswith("…")


@pytest.mark.parametrize(
    ("value", "text", "found"),
    [
        ("ßßß needle x", "NEEDLE", "needle"),
        ("İİ needle", "needle", "needle"),
        ("a Straße b", "STRASSE", "Straße"),
        ("Straße", "s", "S"),
        ("ß", "s", "ß"),
        ("plain needle", "Needle", "needle"),
    ],
)
def test_the_searched_text_is_highlighted(value, text, found):
    line = line_of(value, text)

    assert line.found == found
    assert line.before + line.found + line.after == f'"{value}"'


def test_a_column_is_a_path_within_the_event_with_and_without_the_prefix(admin_client, events):
    page = shown(admin_client, column=["event.n", "n", "event.customer.email"])

    assert page.context["state"].columns == ("n", "customer.email")
    assert [row["values"] for row in page.context["rows"]][1][1] == ("customer.email", "anna@example.org")


def test_the_prefix_stays_where_a_contract_declares_a_property_of_that_name(admin_client, streams):
    define("reports", {"reported": {"properties": {"event": {"properties": {"n": {"type": "integer"}}}}}})

    assert shown(admin_client, column="event.n").context["state"].columns == ("event.n",)
    assert shown(admin_client, column="event.n", stream="orders").context["state"].columns == ("n",)


def test_the_longest_column_of_a_page_can_be_exported(admin_client, events):
    page = shown(admin_client, column="x" * 300)

    query = dict(parse_qsl(dict(page.context["exports"])["CSV"].partition("?")[2]))
    assert len(columns_of(ExportQuery.from_request(request_for(list(query.items()))))) == 4


def test_properties_of_one_event_type_are_those_of_its_contract(streams):
    holder.refresh()

    assert list(properties_of(holder.current(), ["orders"], "order-placed")) == ["n", "customer.email", "customer.tier"]
    assert properties_of(holder.current(), ["orders"], "other") == {}
    assert properties_of(holder.current(), ["payments", "nowhere"], "") == {}
