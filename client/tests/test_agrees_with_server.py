"""The client's and the server's codecs read each other's entries, for events that Hypothesis generates."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chaos.profile import examples
from tests.wire.golden import exactly

from deepiri_modelkit import wire
from deepiri_modelkit.contracts.property_types import property_types
from synapse.wire import encoding

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# Texts that a reader could mistake for other values.
NUMBER_LIKE = ("45", "-0", "1e5", "1E400", "007", " 1", "1 ", "0x1", "٤", "NaN", "12345678901234567890123")
WORDS = ("true", "True", "null", "None", "", "undefined")
JSON_LIKE = ("{}", "[1]", '{"a":1}', "[", "[18446744073709551616]", '["\\ud800"]', '["\\u00e9"]')
TRAPS = st.sampled_from((*NUMBER_LIKE, *WORDS, *JSON_LIKE))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXTS | TRAPS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = TEXTS.filter(lambda name: not name.startswith("synapse_")) | st.sampled_from(
    ["event", "timestamp", "source", "payload", "sender", "priority", "traceparent", "success", "latency_ms", "version"]
)
EVENT_TYPES = st.sampled_from(["placed", "404", "true", "inference-complete", "model-ready"])
EVENTS = st.builds(
    lambda kind, rest: rest | {"event_type": kind}, EVENT_TYPES, st.dictionaries(NAMES, VALUES, max_size=6)
)
MARKS = {
    "synapse_version": st.sampled_from(["1", "0", "", "one", "1234567890", "٤"]),
    "synapse_layout": st.sampled_from(["flat", "dual", "tall", ""]),
    "synapse_added": st.sampled_from(["ets", "e", "", "x", "pdr", "ctsetc"]),
    "synapse_types": st.sampled_from(
        ["{}", "{", "[]", "7", '{"payload":"n"}', '{"version":"s","source":"n","note":"n"}']
    ),
}
FOREIGN_TEXTS = TEXTS | TRAPS | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False))
ENTRIES = st.builds(
    lambda fields, marks: fields | marks,
    st.dictionaries(NAMES | st.sampled_from(["event_type", "payload"]), FOREIGN_TEXTS, max_size=6),
    st.just({}) | st.fixed_dictionaries({}, optional=MARKS),
)


@settings(max_examples=examples(200), deadline=None)
@given(EVENTS)
def test_the_server_reads_exactly_the_event_that_the_client_wrote(event: dict[str, Any]) -> None:
    fields = wire.encode(event, timestamp="2024-01-15T10:30:00Z", source="cyrex")

    read = encoding.decode({name.encode(): text.encode() for name, text in fields.items()})

    assert exactly(read.event) == exactly(wire.canonical(event))
    assert (read.layout, read.contract_version, read.event_type) == ("flat", None, event["event_type"])


@settings(max_examples=examples(200), deadline=None)
@given(EVENTS, st.sampled_from(["flat", "dual"]))
def test_the_client_reads_exactly_the_event_that_the_server_wrote(event: dict[str, Any], layout: Any) -> None:
    event = encoding.canonical(event)
    parts = encoding.encode(event, layout=layout, timestamp="2024-01-15T10:30:00Z", source="cyrex", contract_version=3)

    read = wire.decode(encoding.pairs([part.encode() for part in parts]), types_of=property_types())

    assert exactly(read.event) == exactly(event)
    assert (read.layout, read.contract_version) == (layout, 3)


@settings(max_examples=examples(300), deadline=None)
@given(ENTRIES, st.binary(max_size=4), st.booleans())
def test_both_read_any_entry_alike(texts: dict[str, str], noise: bytes, typed: bool) -> None:
    fields = {name.encode(): text.encode() + (noise if name == "note" else b"") for name, text in texts.items()}
    types = property_types() if typed else {}

    ours, theirs = wire.decode(fields, types_of=types), encoding.decode(fields, types_of=types)

    assert exactly(ours.event) == exactly(theirs.event)
    assert (ours.event_type, ours.timestamp, ours.source) == (theirs.event_type, theirs.timestamp, theirs.source)
    assert (ours.layout, ours.contract_version) == (theirs.layout, theirs.contract_version)
