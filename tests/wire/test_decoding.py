"""Entries decoded by the cached form of their kind equal those decoded by `encoding.decode`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.wire import encoding, fast_decoder
from synapse.wire.fast_decoder import SecondHitCache

OURS = [b"event_type", b"order-placed", b"n", b"1", b"note", b"7 of 9", b"event", b"order-placed"]
OURS += [b"timestamp", b"2026-01-02T03:04:05.678Z", b"source", b"shop"]
OURS += [b"synapse_version", b"3", b"synapse_added", b"ets"]


@pytest.fixture(autouse=True)
def no_kinds(monkeypatch):
    monkeypatch.setattr(fast_decoder, "_kinds", SecondHitCache(8))


@pytest.fixture
def general(monkeypatch):
    """Say which entries are read in the general way."""
    read = []
    decode = encoding.decode_texts
    monkeypatch.setattr(encoding, "decode_texts", lambda texts, **more: read.append(texts) or decode(texts, **more))
    return read


def read_thrice(parts):
    return [fast_decoder.decode_parts(parts, types_of={}) for _ in range(3)]


@given(
    names=st.lists(
        st.sampled_from([b"event_type", b"timestamp", b"source", b"sender", b"payload", b"n", b"\xff", b"a\0b"]),
        max_size=6,
    ),
    own=st.lists(
        st.sampled_from([b"synapse_version", b"synapse_added", b"synapse_types", b"synapse_layout"]), max_size=4
    ),
    values=st.lists(
        st.sampled_from([b"", b"1", b"true", b"null", b"dual", b"{}", b"ets", b"\xff", b"a\0b"])
        | st.binary(max_size=5),
        min_size=10,
        max_size=10,
    ),
)
def test_an_entry_written_by_any_program_is_decoded_alike_each_time(names, own, values):
    parts = [word for pair in zip([*names, *own], values, strict=False) for word in pair]

    assert read_thrice(parts) == [encoding.decode(encoding.pairs(parts))] * 3


def test_the_third_entry_of_a_kind_is_not_read_in_the_general_way(general):
    first, second, third = read_thrice(OURS)

    assert first == second == third
    assert (third.event, third.source) == ({"event_type": "order-placed", "n": 1, "note": "7 of 9"}, "shop")
    assert len(general) == 2


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(-1, b"et", id="a property that was added before"),
        pytest.param(-1, b"etsx", id="a letter that nothing has"),
        pytest.param(5, b"\xff", id="bytes that are not UTF-8"),
        pytest.param(5, b"a\0b", id="a NUL"),
    ],
)
def test_an_entry_with_the_same_names_that_says_something_else_is_read_in_the_general_way(place, value):
    read_thrice(OURS)
    other = [*OURS]
    other[place] = value

    assert fast_decoder.decode_parts(other) == encoding.decode(encoding.pairs(other))


@pytest.mark.parametrize(
    ("place", "value"), [(3, b"-0.5"), (3, b"[1]"), (5, b"true"), (9, b""), (11, b""), (13, b""), (13, b"x"), (1, b"1")]
)
def test_values_are_those_of_each_entry(place, value):
    read_thrice(OURS)
    other = [*OURS]
    other[place] = value

    assert fast_decoder.decode_parts(other) == encoding.decode(encoding.pairs(other))


@pytest.mark.parametrize("names", [[b"n%d" % n for n in range(fast_decoder._NAMES)], [b"n" * fast_decoder._BYTES]])
def test_an_entry_of_many_or_of_long_names_is_of_no_kind(general, names):
    parts = [word for name in names for word in (name, b"1")] + OURS

    read_thrice(parts)

    assert len(general) == 3
