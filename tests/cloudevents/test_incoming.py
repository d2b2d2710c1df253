"""CloudEvents become events as the JSON Event Format and the HTTP Protocol Binding 1.0.2 say."""

import orjson
import pytest

from synapse.cloudevents.attributes import data_of, type_of
from synapse.cloudevents.incoming import decode_header, read_binary, read_structured
from synapse.errors.streams import BadCloudEvent
from tests.patience import that_ends
from tests.tables import for_each

EVENT = {"specversion": "1.0", "id": "A-7", "source": "/shop", "type": "order-placed", "data": {"order_id": 7}}
HEADERS = {"ce-specversion": "1.0", "ce-id": "A-7", "ce-source": "/shop", "ce-type": "order-placed"}


def binary(headers, data=None, *, content_type="application/json", has_data=True):
    return read_binary({"host": "a", **headers}, content_type, data or {"order_id": 7}, {}, has_data=has_data)


def refused(value, types=None):
    """Return the JSON Pointers of what is wrong with a CloudEvent."""
    with pytest.raises(BadCloudEvent) as caught:
        read_structured(value, types or {})
    return [each["pointer"] for each in caught.value.members["violations"]]


def test_type_is_the_event_type_and_data_has_its_properties():
    found = read_structured(EVENT | {"subject": "cart", "n": 5, "flag": True}, {})

    assert found.event == {"event_type": "order-placed", "order_id": 7}
    assert found.attributes == {"id": "A-7", "source": "/shop", "subject": "cart", "n": 5, "flag": True}


def test_binary_mode_says_the_same_in_headers():
    found = binary(HEADERS | {"ce-subject": "cart", "ce-time": "2026-01-31T12:00:00Z"})

    assert found.event == {"event_type": "order-placed", "order_id": 7}
    assert found.attributes == {
        "id": "A-7",
        "source": "/shop",
        "subject": "cart",
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",  # HTTP Protocol Binding, 3.1.1
    }


@for_each("value", [[], "x", 1, None, [EVENT]])
def test_a_cloudevent_is_an_object(value):
    assert refused(value) == [""]


def test_all_that_is_missing_is_told_at_once():
    assert refused({}) == ["/specversion", "/id", "/source", "/type"]
    with pytest.raises(BadCloudEvent, match=r"“ce-id” is missing.+“ce-source” is missing.+“ce-type” is missing"):
        binary({"ce-specversion": "1.0"})


@for_each("version", ["0.3", "1.1", "1", "1.0.2", 1.0, 1, "", "1.0, 1.0"])
def test_another_specversion_is_refused_with_its_value(version):  # specversion
    with pytest.raises(BadCloudEvent, match=f"“{version}”"):
        read_structured(EVENT | {"specversion": version}, {})


def test_an_attribute_that_is_null_is_absent():  # JSON Event Format, 2.2
    assert read_structured(EVENT | {"subject": None, "ext": None}, {}).attributes == {"id": "A-7", "source": "/shop"}
    assert refused(EVENT | {"id": None}) == ["/id"]


def test_binary_data_is_refused():  # JSON Event Format, 3.1.2
    assert refused(EVENT | {"data_base64": "eA=="}) == ["/data_base64"]
    assert refused({**EVENT, "data_base64": "eA==", "data": None}) == ["/data_base64"]
    assert read_structured(EVENT | {"data_base64": None}, {}).event["order_id"] == 7


@for_each("data", [[], [1], "x", '{"order_id": 7}', 0, 1.5, True, False, ""])
def test_data_that_is_no_object_is_refused(data):  # 3.1.2: a string MUST NOT be parsed as JSON
    assert refused(EVENT | {"data": data}) == ["/data"]


@pytest.mark.parametrize("content", ["text/xml", "application/octet-stream", "application/json;charset=utf-16"])
def test_data_of_another_content_type_is_refused(content):
    assert refused(EVENT | {"datacontenttype": content}) == ["/datacontenttype"]


def test_a_content_type_without_data_is_kept():  # datacontenttype MAY appear without data
    without = {name: value for name, value in EVENT.items() if name != "data"}

    assert read_structured(without | {"datacontenttype": "text/xml"}, {}).attributes["datacontenttype"] == "text/xml"


def test_extensions_do_not_collide_with_properties_of_the_data():
    value = EVENT | {"orderid": "x", "timestamp": "y", "data": {"orderid": 7, "source": "till", "id": 1, "time": 2}}

    found = read_structured(value, {})

    assert found.event == {"event_type": "order-placed", "orderid": 7, "source": "till", "id": 1, "time": 2}
    assert (found.attributes["orderid"], found.attributes["timestamp"]) == ("x", "y")


@for_each("name", ["Data", "eventType", "synapse_version", "data_base65", "_"])
def test_an_extension_with_a_name_that_no_attribute_may_have_is_refused(name):
    assert refused(EVENT | {name: "x"}) == [f"/{name}"]


def test_a_pointer_to_a_name_is_escaped():
    assert refused(EVENT | {"a/b~c": "x"}) == ["/a~1b~0c"]


def test_a_header_named_as_the_data_or_its_type_is_refused():
    # Naming Conventions; HTTP Protocol Binding, 3.1.1: ce-datacontenttype MUST NOT be there.
    with pytest.raises(BadCloudEvent, match="“ce-data” is no name"):
        binary(HEADERS | {"ce-data": "x"})
    with pytest.raises(BadCloudEvent, match="“ce-datacontenttype” must not be there"):
        binary(HEADERS | {"ce-datacontenttype": "application/json"})


@for_each(
    "header, value",
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%e2%82%ac", "€"),  # decoding MUST accept lower case
        ("%41%42", "AB"),  # unnecessary encoding MUST be accepted
        ("100%25", "100%"),
        ("%2541", "%41"),  # a single round
        ('"a b"', "a b"),  # quoted strings MUST be unquoted
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        (r'x"a"y"\"b"z', 'xay"bz'),
        (r'"a"b"c\"', r'ab"c\"'),  # one that does not end is none
        ('"a\\', '"a\\'),
        ('"', '"'),
        ('"%20"', " "),  # first unquoted, then decoded
        ("a b", "a b"),
        ("\xc3\xa9", "é"),  # UTF-8 as it is, read as Latin-1
    ],
)
def test_the_value_of_a_header_is_unquoted_and_decoded_once(header, value):  # HTTP Protocol Binding, 3.1.3.2
    assert decode_header(header) == value


@for_each("part", ['\\"', '"\\', '"', "\\", 'a"', '"\\"', "%41"])
@for_each("begin", ["", '"'])
def test_a_long_header_is_decoded_in_time_that_grows_with_its_length(begin, part):
    # In the square of the length, some would take more than a minute.
    with that_ends():
        assert decode_header(begin + part * 60_000 + "é".encode().decode("latin-1")).endswith("é")


@for_each("header", ["%C0%A0", "%", "%4", "%zz", "%FF", "%ED%A0%80", "\xe9"])
def test_a_header_that_is_no_percent_encoded_utf_8_is_refused(header):  # 3.1.3.2: MUST be rejected
    with pytest.raises(BadCloudEvent, match="ce-subject"):
        binary(HEADERS | {"ce-subject": header})


def test_a_control_character_hidden_in_a_header_is_refused():
    with pytest.raises(BadCloudEvent, match=r"“ce-id” has the character U\+000A"):
        binary(HEADERS | {"ce-id": "a%0Ab"})


def test_a_type_with_another_name_is_mapped_and_kept():
    found = read_structured(EVENT | {"type": "com.example.order.placed"}, {"com.example.order.placed": "order-placed"})

    assert found.event["event_type"] == "order-placed"
    assert type_of(found.attributes, "order-placed") == "com.example.order.placed"


@for_each("type_", ["a", "com.example.a"])
@for_each(
    "data",
    [
        {},
        {"n": 1},
        {"event_type": "a"},
        {"event": "a"},
        {"event_type": "a", "event": "a", "n": None},
        {"event": "b"},
        {"event": 5},
        {"source": "x", "timestamp": "y", "specversion": "0.3"},
    ],
)
def test_type_and_data_come_back_from_the_event(type_, data):
    value = {**EVENT, "type": type_, "data": data}

    found = read_structured(orjson.loads(orjson.dumps(value)), {"com.example.a": "a"})

    assert data_of(found.attributes, found.event) == {"data": data}
    assert type_of(found.attributes, found.event["event_type"]) == type_


@pytest.mark.parametrize("members", [{}, {"data": None}])
def test_absent_and_null_data_come_back(members):
    value = {name: each for name, each in EVENT.items() if name != "data"}

    found = read_structured(value | members, {})

    assert found.event == {"event_type": "order-placed"}
    assert data_of(found.attributes, found.event) == members


@for_each("found", ["order-cancelled", "", None, 7, {"a": 1}])
def test_data_with_another_event_type_is_refused(found):
    assert refused(EVENT | {"data": {"event_type": found}}) == ["/data/event_type"]


def test_a_repeated_event_has_equal_content_with_other_headers_of_its_trace():
    first = read_structured(EVENT | {"a": "1", "b": "2", "traceparent": "x"}, {})
    again = read_structured({"b": "2", "a": "1", **EVENT, "traceparent": "y", "tracestate": "z"}, {})
    other = read_structured(EVENT | {"a": "1", "b": "3"}, {})

    assert (first.key, first.content()) == (again.key, again.content())
    assert (first.key, first.content() == other.content()) == (other.key, False)


@for_each(
    "first, again, is_equal",
    [
        ("application/json", "application/json; charset=utf-8", True),
        ("application/json", 'Application/JSON;Charset="UTF-8"', True),
        (None, "application/json;charset=utf8", True),
        ("application/json; a=b", "application/json; charset=utf-8;a=b", True),
        ("application/json", "application/vnd.a+json", False),
        ("application/json", "application/json; a=b", False),
        ("application/json", 'application/json; x=";charset=utf-8"', False),
    ],
)
def test_a_repeated_event_has_equal_content_with_or_without_the_charset_of_json(first, again, is_equal):
    one, other = (read_structured(EVENT | {"datacontenttype": content}, {}) for content in (first, again))

    assert (one.content() == other.content()) is is_equal


def test_no_two_pairs_of_source_and_id_make_one_key():
    pairs = [("/a", "b"), ("/a/b", ""), ("/a", "b/c"), ("/a/b", "c")]

    keys = {read_structured(EVENT | {"source": source, "id": id_ or "x"}, {}).key for source, id_ in pairs}

    assert len(keys) == len(pairs)
