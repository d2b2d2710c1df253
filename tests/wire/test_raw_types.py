"""The type of an entry that is told by its own bytes is the one that reading all of it tells."""

from hypothesis import example, given
from hypothesis import strategies as st

from synapse.wire.encoding import encode
from synapse.wire.fast_decoder import decode_parts, type_of_parts

NAMES = st.sampled_from(
    [b"event_type", b"event", b"synapse_version", b"synapse_types", b"synapse_added", b"payload", b"\xff"]
)
TEXTS = st.sampled_from(
    [b"order-placed", b"7", b"null", b'"x"', b"{}", b"", b'{"event_type":"s"}', b'{"event_type":"n"}', b"e", b"\xff"]
)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6))
@example([(b"synapse_version", b"1"), (b"event_type", b"7"), (b"synapse_types", b'{"event_type":"s"}')])
def test_a_type_told_by_its_bytes_is_the_one_that_reading_tells(pairs):
    parts = [part for pair in pairs for part in pair]

    found = type_of_parts(parts)

    assert found in (None, decode_parts(parts).event_type)


def test_entries_of_ours_tell_their_type_by_their_bytes():
    event = {"event_type": "order-placed", "order_id": 7}
    fields = encode(event, layout="flat", timestamp="2026-01-01T00:00:00.000Z", source="shop", contract_version=1)

    assert type_of_parts([field.encode() for field in fields]) == "order-placed"
