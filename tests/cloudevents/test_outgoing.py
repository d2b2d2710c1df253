"""Stored entries as CloudEvents: attributes, structured mode, binary mode."""

import dataclasses

import orjson
import pytest

from synapse.catalog.stream_definitions import ActiveContract, EventTypeDefinition, Snapshot, StreamDefinition
from synapse.cloudevents.outgoing import (
    OutgoingEvent,
    binary,
    chosen_form_of_list,
    cloudevent_of,
    cloudevent_of_row,
    header_value,
    structured,
)
from synapse.problems import NotAcceptable
from synapse.schema.validator import compile_schema
from synapse.wire.encoding import decode, encode, pairs, text_fields
from synapse.wire.masking import entry_row
from tests.cloudevents.cast import CAME, TIME
from tests.tables import for_each

ID = "1766570400123-0"
ORDER = {"event_type": "order-placed", "n": 1}
CONTRACT = ActiveContract(subject="shop/orders value", version=3, schema=compile_schema({}))
ORDERS = StreamDefinition(
    name="orders",
    event_types={"order-placed": EventTypeDefinition(name="order-placed", contract=CONTRACT, versions={3: CONTRACT})},
)
CATALOG = Snapshot(version=1, streams={"orders": ORDERS}, public_url="https://synapse.example.org")


def entry_of(event, *, source="cyrex", timestamp=TIME, version=0, layout="flat", came=None):
    beside = {} if came is None else {"synapse_cloudevent": orjson.dumps(came).decode()}
    fields = encode(event, layout=layout, timestamp=timestamp, source=source, contract_version=version, beside=beside)
    return decode(pairs([each.encode() for each in fields]))


def foreign(**fields):
    return decode({name.encode(): text.encode() for name, text in fields.items()})


def sent(entry, catalog=CATALOG):
    return orjson.loads(structured(cloudevent_of(catalog, "orders", ID, entry)))


def test_a_native_event_gets_its_attributes_from_its_entry():
    assert sent(entry_of(ORDER, version=2)) == {
        "specversion": "1.0",
        "id": f"orders/{ID}",
        "source": "cyrex",
        "type": "order-placed",
        "time": TIME,
        "datacontenttype": "application/json",
        "dataschema": "https://synapse.example.org/registry/subjects/shop%2Forders%20value/versions/2/schema",
        "data": ORDER,
    }


def test_an_event_without_a_contract_or_in_a_synapse_without_a_public_address_names_no_schema():
    no_address = dataclasses.replace(CATALOG, public_url="")

    assert "dataschema" not in sent(entry_of(ORDER))
    assert "dataschema" not in sent(entry_of(ORDER, version=2), no_address)
    assert "dataschema" not in sent(entry_of({"event_type": "other"}, version=2))


@for_each(
    "source, reference",
    [
        ("cyrex", "cyrex"),
        ("/shop/checkout?a=1#b", "/shop/checkout?a=1#b"),
        ("urn:shop:1", "urn:shop:1"),
        ("my shop", "my%20shop"),
        ("1:2", "1%3A2"),
        ("100%", "100%25"),
        ("Jürgen", "J%C3%BCrgen"),
        ("a\nb", "a%0Ab"),
        ("\u2022\u2022\u2022", "%E2%80%A2%E2%80%A2%E2%80%A2"),
    ],
)
def test_the_source_of_a_native_event_is_a_uri_reference(source, reference):
    assert sent(entry_of(ORDER, source=source))["source"] == reference


def test_an_event_without_a_source_has_the_address_of_its_stream():
    assert sent(foreign(event_type="order-placed"))["source"] == "https://synapse.example.org/streams/orders"
    assert sent(foreign(event_type="x"), Snapshot(version=1, streams={}))["source"] == "/streams/orders"


@for_each(
    "timestamp, time",
    [
        (TIME, TIME),
        ("2026-11-01T08:00:00.123456+02:00", "2026-11-01T08:00:00.123456+02:00"),
        ("2026-11-01 08:00", TIME),
        ("2026-11-01T10:00:00+0200", TIME),
        ("yesterday", "2025-12-24T10:00:00.123Z"),
        ("0001-01-01T00:00:00+23:59:59", "2025-12-24T10:00:00.123Z"),
        ("", "2025-12-24T10:00:00.123Z"),
    ],
)
def test_the_time_of_a_native_event_is_as_rfc_3339_writes_it(timestamp, time):
    assert sent(foreign(event_type="order-placed", timestamp=timestamp))["time"] == time


def test_a_foreign_entry_without_a_type_has_one_as_a_cloudevent():
    assert sent(foreign(n="1"))["type"] == "untyped"
    assert sent(foreign(event_type="a\tb"))["type"] == "a\ufffdb"


def test_an_event_that_came_as_a_cloudevent_goes_out_as_it_came():
    assert sent(entry_of(ORDER, version=2, came=CAME)) == {
        "specversion": "1.0",
        "type": "order-placed",
        **CAME,
        "data": {"n": 1},
    }


@for_each(
    "event, marks, expected",
    [
        (ORDER, "t", {"data": ORDER}),
        (ORDER, "e", {"data": {"n": 1, "event": "order-placed"}}),
        ({"event_type": "order-placed"}, "n", {}),
        ({"event_type": "order-placed"}, "0", {"data": None}),
        ({"event_type": "order-placed"}, "", {"data": {}}),
    ],
)
def test_data_comes_back_as_it_was(event, marks, expected):
    found = sent(entry_of(event, came={"id": "1", "source": "/s", "_": marks}))

    assert {name: found[name] for name in ("data", "data_base64") if name in found} == expected
    assert "_" not in found


def test_a_type_that_the_stream_maps_comes_back():
    assert (
        sent(entry_of(ORDER, came={"id": "1", "source": "/s", "type": "com.shop.placed"}))["type"] == "com.shop.placed"
    )


@for_each("layout", ["flat", "dual"])
@for_each("came", [None, {"id": "1", "source": "/s"}])
def test_a_row_becomes_the_cloudevent_that_its_entry_becomes(layout, came):
    fields = encode(
        {**ORDER, "text": "5", "none": None},
        layout=layout,
        timestamp=TIME,
        source="cyrex",
        contract_version=3,
        beside={} if came is None else {"synapse_cloudevent": orjson.dumps(came).decode()},
    )
    stored = pairs([each.encode() for each in fields])
    entry = decode(stored)
    row = orjson.loads(orjson.dumps(entry_row(ID, text_fields(stored), entry)))

    assert cloudevent_of_row(CATALOG, "orders", row) == cloudevent_of(CATALOG, "orders", ID, entry)


def test_attributes_that_another_program_wrote_are_left_out_where_they_are_none():
    came = {"id": "1", "source": "/s", "Bad Name": "x", "a\r\nb": "x", "good": "x", "datacontenttype": 7}
    came |= {"dataschema": ["é"], "time": {}, "nothing": None, "half": 0.5}

    event = cloudevent_of(CATALOG, "orders", ID, entry_of(ORDER, came=came))

    assert set(event.attributes) == {"specversion", "type", "id", "source", "good", "datacontenttype"}
    assert binary(event)[0]["Content-Type"] == "7"


def test_an_entry_whose_attributes_cannot_be_read_is_a_native_event():
    for text in ("{}", "nonsense", "[]", '{"id":1,"source":"/s"}'):
        entry = foreign(event_type="order-placed", synapse_version="0", synapse_cloudevent=text)

        assert sent(entry)["id"] == f"orders/{ID}"


def test_binary_mode_has_the_attributes_in_headers():
    came = {"id": "A-1", "source": "/shop", "subject": 'käse "42" 100%', "datacontenttype": "text/json; charset=utf-8"}

    headers, body = binary(
        cloudevent_of(CATALOG, "orders", ID, entry_of(ORDER, came={**came, "urgent": True, "n": -5}))
    )

    assert headers == {
        "ce-specversion": "1.0",
        "ce-type": "order-placed",
        "ce-id": "A-1",
        "ce-source": "/shop",
        "ce-subject": "k%C3%A4se%20%2242%22%20100%25",
        "ce-urgent": "true",
        "ce-n": "-5",
        "Content-Type": "text/json; charset=utf-8",
    }
    assert body == b'{"n":1}'


@for_each(
    "attributes, member, content_type, body",
    [
        ({}, {"data": {"n": 1}}, "application/json", b'{"n":1}'),
        ({}, {"data": None}, "application/json", b"null"),
        ({}, {}, None, b""),
        ({"datacontenttype": "text/json"}, {}, "text/json", b""),
        ({"datacontenttype": "text/json\r\nx: y"}, {"data": {}}, "application/json", b"{}"),
    ],
)
def test_the_content_type_of_binary_mode_is_that_of_the_data(attributes, member, content_type, body):
    headers, written = binary(OutgoingEvent(attributes, member))

    assert (headers.get("Content-Type"), written) == (content_type, body)


@for_each(
    "value, written",
    [
        ("plain/~text", "plain/~text"),
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("a\r\nx: y", "a%0D%0Ax:%20y"),
        ("%41", "%2541"),
        ("\ud800", "?"),
        (False, "false"),
        (0, "0"),
        ("", ""),
    ],
)
def test_values_are_percent_encoded_in_headers(value, written):
    assert header_value(value) == written


def test_data_that_is_nested_too_deep_is_replaced_or_refused():
    deep = {"a": None}
    for _ in range(300):
        deep = {"a": deep}
    event = OutgoingEvent({"id": "1"}, {"data": deep})

    assert orjson.loads(structured(event, otherwise={"a": "text"})) == {"id": "1", "data": {"a": "text"}}
    with pytest.raises(orjson.JSONEncodeError):
        structured(event)


ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"


@for_each(
    "accept, form",
    [
        ("", "application/json"),
        (ONE, MANY),
        (f"{ONE}, {MANY};q=0.1", MANY),
        (f"{ONE}, {MANY};q=0", "application/json"),
        (f"{MANY};q=0, {ONE}, application/json;q=0.1", "application/json"),
        (f"{ONE};q=0, {MANY}", MANY),
        (f"{ONE}, application/json;q=0", MANY),
        (f"{MANY}, */*;q=0", MANY),
    ],
)
def test_several_events_are_a_batch_only_for_clients_that_do_not_refuse_one(accept, form):
    assert chosen_form_of_list(accept) == form


@pytest.mark.parametrize("accept", [f"{ONE}, */*;q=0", f"{ONE}, {MANY};q=0, application/json;q=0"])
def test_a_client_that_refuses_a_batch_and_plain_json_gets_neither(accept):
    with pytest.raises(NotAcceptable):
        chosen_form_of_list(accept)
