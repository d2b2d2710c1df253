"""A published event comes back exactly, for any JSON object, in either layout."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.formats.text import NO_TEXTS
from synapse.wire import encoding

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TRICKY_TEXT = st.sampled_from(
    ["1", "-0", "1e5", "true", "null", "{}", "[1]", '{"a":1}', "[", "{x", '"quoted"', " 1", "01", "NaN", "2.0.0", ""]
)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | TRICKY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KNOWN_NAMES = st.sampled_from(
    ["event", "timestamp", "source", "payload", "sender", "priority", "traceparent", "data", "id", ""]
)
NAMES = (TEXT | KNOWN_NAMES).filter(lambda name: not name.startswith("synapse_"))
# What a publisher's tracing says beside the event.
TRACE = {"traceparent": "00-a-b-01", "synapse_tracestate": "a=1,b=2"}
EVENTS = st.builds(
    lambda rest, name: {**rest, "event_type": name},
    st.dictionaries(NAMES, VALUES, max_size=8),
    st.sampled_from(["order-placed", "1", "true", "null"]),
)


def written(event, layout="flat", beside=NO_TEXTS):
    texts = encoding.encode(
        event,
        layout=layout,
        timestamp="2026-01-02T03:04:05.678Z",
        source="anonymous",
        contract_version=3,
        beside=beside,
    )
    return [text.encode() for text in texts]


@pytest.mark.parametrize("layout", ["flat", "dual"])
@given(event=EVENTS)
def test_an_event_comes_back_as_it_was_published(layout, event):
    canonical = encoding.canonical(event)

    decoded = encoding.decode(encoding.pairs(written(canonical, layout, TRACE)))

    # Compared as JSON: 1, 1.0 and true are different values there.
    assert orjson.dumps(decoded.event, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        canonical, option=orjson.OPT_SORT_KEYS
    )
    assert (decoded.event_type, decoded.layout, decoded.contract_version) == (event["event_type"], layout, 3)


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=12), max_size=6))
def test_no_bytes_break_a_reader(fields):
    decoded = encoding.decode(fields)

    assert isinstance(decoded.event, dict)


@given(event=EVENTS, layout=st.sampled_from(["flat", "dual"]))
def test_every_reader_finds_both_names_of_the_type_a_timestamp_and_a_source(event, layout):
    fields = encoding.pairs(written(encoding.canonical(event), layout))

    assert {b"event", b"event_type", b"timestamp", b"source"} <= fields.keys()


def test_the_canonical_event_has_its_type_under_one_name():
    assert encoding.canonical({"event": "a", "n": 1}) == {"event_type": "a", "n": 1}
    assert encoding.canonical({"event": "a", "event_type": "a"}) == {"event_type": "a"}
    assert encoding.canonical({"event": "a", "event_type": "b"}) == {"event": "a", "event_type": "b"}
    assert encoding.canonical({"event": 5}) == {"event": 5}


def test_encoding_does_not_change_the_event():
    event = {"event_type": "a", "nested": {"b": [1]}, "nothing": None}

    written(event, "dual")

    assert event == {"event_type": "a", "nested": {"b": [1]}, "nothing": None}


def test_the_guides_event_takes_about_139_bytes_in_redis(redis):
    event = {
        "event_type": "inference-complete",
        "request_id": "req_123456",
        "model_name": "task-classifier-v2",
        "latency_ms": 45,
        "confidence": 0.92,
        "timestamp": "2024-01-15T10:30:00Z",
    }
    pipeline = redis.pipeline(transaction=False)
    for _ in range(10_000):
        pipeline.execute_command("XADD", "s", "*", *written(event))
    pipeline.execute()

    assert redis.memory_usage("s", samples=0) / 10_000 < 150


def test_a_foreign_value_that_is_too_deep_to_be_written_again_stays_text():
    deep = b"[" * 300 + b"]" * 300

    decoded = encoding.decode({b"event_type": b"t", b"deep": deep, b"payload": b'{"deep":' + deep + b"}"})

    assert decoded.event["deep"] == deep.decode()
    orjson.dumps(decoded.event)
