"""Context attributes keep the rules of CloudEvents 1.0.2; a comment names the section of each."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synapse.cloudevents import attributes as ce
from synapse.wire.fast_decoder import SecondHitCache
from tests.patience import that_ends
from tests.tables import for_each

VALID = {"id": "A-7", "source": "/shop", "type": "order-placed"}


def faults(**attributes):
    """Return the attributes that are wrong, of a valid CloudEvent with these ones changed."""
    changed = {name: value for name, value in (VALID | attributes).items() if value is not None}
    return [name for name, _ in ce.find_faults(changed)]


SOUND = {"id": "A-7", "source": "/a?b#c", "time": "2024-02-29T23:59:60.5+01:00", "subject": "é", "ext": "1"}
WRONG = {"id": "", "source": "a b", "time": "2023-02-29T00:00:00Z", "subject": "a\nb", "Ext": "1", "data": "x"}
VALUES = st.sampled_from([*SOUND.values(), *WRONG.values(), 1, 2**31, True, 1.5]) | st.text(max_size=3)


@given(attributes=st.dictionaries(st.sampled_from([*SOUND, *WRONG, "type", "_"]), VALUES, max_size=6))
@example(attributes=VALID)
@example(attributes=VALID | {"subject": ""})
def test_attributes_that_are_accepted_quickly_have_no_faults(attributes):
    for _ in range(3):  # the third time, their names are known
        assert not ce.keep_rules(attributes) or ce.find_faults(attributes) == []


@for_each("name", SOUND)
def test_printable_attributes_are_accepted_quickly(name):
    assert ce.keep_rules(VALID | {name: SOUND[name]})


def test_names_that_are_too_many_or_too_long_are_not_kept(monkeypatch):
    known = SecondHitCache(8)
    monkeypatch.setattr(ce, "_names", known)

    many = VALID | {f"a{number}": "x" for number in range(100)}

    for _ in range(3):
        assert ce.keep_rules(VALID | {"a" * 1000: "x"})
        # Their names are checked once, by `find_faults`.
        assert (ce.keep_rules(many), ce.find_faults(many)) == (False, [])
        assert ce.content_of(many)
        assert ce.keep_rules(VALID | {"a": "x"})

    assert list(known.made) == [(*VALID, "a")]


def test_the_required_attributes_are_enough():
    assert faults() == []


@pytest.mark.parametrize("name", ce.REQUIRED)  # REQUIRED Attributes
def test_a_required_attribute_must_be_there_and_not_be_empty(name):
    assert faults(**{name: None}) == [name]
    assert faults(**{name: ""}) == [name]


def test_all_missing_attributes_are_told_at_once():
    assert ce.find_faults({}) == [("id", "is missing"), ("source", "is missing"), ("type", "is missing")]


@for_each("name", ["subject", "dataschema", "time", "datacontenttype"])  # OPTIONAL Attributes
def test_an_optional_attribute_must_not_be_empty(name):
    assert faults(**{name: ""}) == [name]


@for_each("name", ["partitionkey", "x", "0", "a1b2", "comexampleextension1", "a" * 60])
def test_a_name_of_small_letters_and_digits_is_an_extension(name):  # Naming Conventions
    assert faults(**{name: "x"}) == []


@for_each("name", ["Subject", "com_example", "a-b", "a.b", "a b", "é", "", "_", "x\n", "٤", "data"])
def test_another_name_is_refused(name):  # Naming Conventions; MUST NOT have the name `data`
    assert faults(**{name: "x"}) == [name]


@for_each("value", [True, False, 0, 2**31 - 1, -(2**31), "", "text", "日本語 \u00a0 \U0001f600"])
def test_an_extension_is_a_boolean_an_integer_of_32_bits_or_a_text(value):  # Type System
    assert faults(ext=value) == []


@for_each("value", [2**31, -(2**31) - 1, 1.5, 1.0, [], {}, ["a"], {"a": 1}])
def test_another_value_of_an_extension_is_refused(value):  # Type System
    assert faults(ext=value) == ["ext"]


@for_each("name", sorted(ce.DEFINED - {"specversion"}))
@for_each("value", [1, True, {}])
def test_a_defined_attribute_is_a_text(name, value):
    assert faults(**{name: value}) == [name]


@for_each(
    "character", ["\x00", "\n", "\x1f", "\x7f", "\x85", "\x9f", "\ufdd0", "\ufffe", "\uffff", "\U0010ffff", "\ud800"]
)
@for_each("name", ["id", "subject", "ext"])
def test_control_characters_noncharacters_and_surrogates_are_refused(name, character):  # Type System, String
    ((found, fault),) = ce.find_faults(VALID | {name: f"a{character}b"})

    assert (found, f"U+{ord(character):04X}" in fault) == (name, True)


@for_each(
    "source",
    [
        "https://github.com/cloudevents",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "/cloudevents/spec/pull/123",
        "1-555-123-4567",
        "//host:8080/a?b=c#d",
        "http://[2001:db8::1]:80/",
        "http://user:x@host/",
        "?q",
        "#f",
        "a/b:c",
        "%C3%A9",
        "/" + "a" * 5000,
    ],
)
def test_a_source_is_a_uri_reference(source):  # source; RFC 3986, 4.1
    assert faults(source=source) == []


@for_each(
    "source", ["a b", "1a:b", "%", "%zz", "é", "http://[::1", "/a[b", "<x>", '"', "a#b#c", "\\", "/a^", "http://a:b/"]
)
def test_a_source_that_is_no_uri_reference_is_refused(source):
    assert faults(source=source) == ["source"]


@pytest.mark.parametrize("uri", ["https://example.com/schemas/1", "urn:a:b", "https://example.com/s#/definitions/a"])
def test_a_dataschema_is_an_absolute_uri(uri):  # dataschema
    assert faults(dataschema=uri) == []


@for_each("uri", ["/schemas/1", "schemas", "//host/a", "https://exa mple.com/"])
def test_a_dataschema_that_is_relative_or_no_uri_is_refused(uri):
    assert faults(dataschema=uri) == ["dataschema"]


@for_each(
    "text",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00z",
        "2018-04-05T17:31:00.123456789+01:30",
        "2016-12-31T23:59:60Z",
        "2024-02-29T00:00:00-00:00",
    ],
)
def test_a_time_is_as_rfc_3339_writes_it(text):  # time
    assert faults(time=text) == []


@for_each(
    "text",
    [
        "2018-04-05",
        "2018-04-05 17:31:00Z",
        "2018-04-05T17:31Z",
        "2018-04-05T17:31:00",
        "2023-02-29T00:00:00Z",
        "2018-13-01T00:00:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:31:61Z",
        "2018-04-05T17:31:00+24:00",
        "2018-04-05T17:31:00.Z",
        "1522949460",
        "٢018-04-05T17:31:00Z",
    ],
)
def test_another_text_is_no_time(text):
    assert faults(time=text) == ["time"]


@for_each("text", ["application/json", 'text/x; charset="utf-8"', "a/b;c=d ; e=f", "a/b;", "x/y+json"])
def test_a_datacontenttype_is_a_media_type(text):  # datacontenttype; RFC 2046
    assert faults(datacontenttype=text) == []


@for_each("text", ["json", "application/", "/json", "a/b/c", "a/b; c", "a b/c", "a/b; c=(d)"])
def test_a_datacontenttype_that_is_no_media_type_is_refused(text):
    assert faults(datacontenttype=text) == ["datacontenttype"]


@for_each(
    "text",
    [
        "application/json",
        "text/JSON",
        "application/vnd.a.b+json",
        "application/json; charset=UTF-8",
        'application/json; x="a;charset=utf-16"',
        r'application/json; x="\";charset=utf-16"; charset="utf-8"',
    ],
)
def test_json_is_data_of_an_event(text):  # JSON Event Format, 3.1.1
    assert ce.find_fault_of_content(text) == ""


@for_each(
    "text",
    [
        "text/plain",
        "application/xml",
        "application/jsonx",
        "application/json; charset=latin1",
        "json",
        'a/json; x="a;b"; charset=latin1',
    ],
)
def test_another_content_is_no_data_of_an_event(text):
    assert ce.find_fault_of_content(text) != ""


@for_each(
    "text",
    [
        "a" * 60_000 + "\\",
        "%41" * 20_000 + "\\",
        "a:" * 30_000 + "\\",
        "//" + "a@" * 30_000 + "\\",
        "?" * 60_000 + "\\",
    ],
)
def test_a_long_text_is_checked_in_time_that_grows_with_its_length(text):
    # In the square of the length, each would take minutes.
    with that_ends():
        found = faults(source=text, dataschema=f"x:{text}", time=text, datacontenttype=f"a/b;a=b{' ' * 60_000}\\")

    assert found == ["source", "dataschema", "time", "datacontenttype"]


def test_data_comes_back_as_it_was():
    assert ce.data_of({}, {"event_type": "a", "n": 1}) == {"data": {"n": 1}}
    assert ce.data_of({}, {"event_type": "a"}) == {"data": {}}
    assert ce.data_of({"_": "n"}, {"event_type": "a"}) == {}
    assert ce.data_of({"_": "0"}, {"event_type": "a"}) == {"data": None}
    assert ce.data_of({"_": "te"}, {"event_type": "a"}) == {"data": {"event_type": "a", "event": "a"}}


def test_a_type_that_differs_from_the_event_type_comes_back():
    assert ce.type_of({"type": "com.example.a"}, "a") == "com.example.a"
    assert ce.type_of({}, "a") == "a"
