"""The fast encoder and decoder agree with the plain ones; which entries get a cached form."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.publishing import (
    IdempotencyKey,
    append_once_packed_now,
    once_under,
    publish_once,
)
from synapse.wire import encoding, fast_decoder, fast_encoder
from synapse.wire.fast_decoder import SecondHitCache
from tests.wire.test_round_trip import EVENTS, NUMBERS, TEXT, TRACE, written

KEY = IdempotencyKey(who="shop", key="k", fingerprint="f" * 64)
AROUND = {"timestamp": "2026-01-02T03:04:05.678Z", "source": "100% ours", "contract_version": 3}
# What services send nearly always: texts and numbers.
PLAIN_EVENTS = st.builds(
    lambda rest, beside: {"event_type": "order-placed", **rest, **beside},
    # Names of Synapse's own, and an event type that is no text, never come here (synapse.publishing.validation).
    st.dictionaries(
        TEXT.filter(lambda name: name != "event_type" and not name.startswith(encoding.OWN_PREFIX)),
        NUMBERS | TEXT.map("x".__add__),
        max_size=6,
    ),
    st.sampled_from([{}, {"timestamp": "yesterday"}, {"source": "shop"}, {"event": "other"}, {"100%": "%d%b%%"}]),
)


@pytest.fixture(autouse=True)
def no_templates(monkeypatch):
    monkeypatch.setattr(fast_encoder, "_templates", SecondHitCache(1024))
    monkeypatch.setattr(fast_decoder, "_kinds", SecondHitCache(8))


def appended(stream, event, **around):
    """Append the event for the second time."""
    fast_encoder.append(stream, event, **around)
    return fast_encoder.append(stream, event, **around)


def packed_by_words(event, **beside):
    fields = encoding.encode(event, layout="flat", **AROUND, **beside)
    return hiredis.pack_command(stream_commands.xadd("orders", fields).words)


@given(event=EVENTS | PLAIN_EVENTS, layout=st.sampled_from(["flat", "dual"]), beside=st.sampled_from([{}, TRACE]))
def test_the_fast_encoder_and_decoder_say_what_the_plain_ones_say(event, layout, beside):
    event = encoding.canonical(event)
    parts = written(event, layout, beside)

    command = appended("orders", event, **AROUND, beside=beside)
    decoded = [fast_decoder.decode_parts(parts, types_of={}) for _ in range(3)]

    assert command is None or command.packed == packed_by_words(event, beside=beside)
    assert decoded == [encoding.decode(encoding.pairs(parts))] * 3


@given(event=PLAIN_EVENTS, beside=st.sampled_from([{}, TRACE]))
def test_events_of_texts_and_numbers_all_go_into_a_form(event, beside):
    assert appended("orders", event, **AROUND, beside=beside).packed == packed_by_words(event, beside=beside)


@pytest.mark.parametrize("value", [None, "1", "true", "null", "{}", "-0", "[1] "])
def test_an_event_with_a_null_or_with_a_string_that_reads_as_json_takes_more(value):
    assert appended("orders", {"event_type": "order-placed", "note": value}, **AROUND) is None


def test_templates_differ_by_stream_publisher_and_contract_version():
    event = {"event_type": "order-placed", "n": 1}
    first = appended("orders", event, **AROUND).packed

    others = [
        appended("orders", event, **{**AROUND, "source": "shop"}).packed,
        appended("orders", event, **{**AROUND, "contract_version": 4}).packed,
        appended("returns", event, **AROUND).packed,
    ]

    assert len({first, *others}) == 4
    assert appended("orders", event, **AROUND).packed == first


def test_no_form_is_kept_for_the_first_event_of_a_kind():
    assert fast_encoder.append("orders", {"event_type": "order-placed", "n": 1}, **AROUND) is None

    assert fast_encoder._templates.made == {}


def test_an_event_with_names_that_are_too_long_or_too_many_has_no_form():
    assert appended("orders", {"event_type": "order-placed", "n" * 10_000: 1}, **AROUND) is None
    many = {"event_type": "order-placed", **{f"n{number}": 1 for number in range(fast_encoder._NAMES)}}
    assert appended("orders", many, **AROUND) is None
    del many["n0"]
    assert appended("orders", many, **AROUND) is not None


def test_a_packed_command_says_which_key_it_is_for():
    command = appended("orders", {"event_type": "order-placed", "n": 1}, **AROUND)

    assert command.words == ("XADD", "orders")


@given(event=PLAIN_EVENTS)
def test_an_entry_is_appended_once_by_the_words_of_the_plain_command(event):
    once = once_under("orders", KEY, window_ms=60_000, hard_length=5)
    fields = encoding.encode(event, layout="flat", **AROUND)

    packed = appended("orders", event, **AROUND, once=once)

    plain = publish_once("orders", fields, **KEY._asdict(), window_ms=60_000, hard_length=5)
    for found in (packed, append_once_packed_now("orders", fields, once)):
        assert found.packed == hiredis.pack_command(plain.words)
        assert found.otherwise.packed == hiredis.pack_command(plain.otherwise.words)
        assert found.words == plain.words[:4]
        assert found.otherwise.words == plain.otherwise.words[:4]


def test_templates_differ_by_the_window_of_a_key_and_by_the_length_of_a_stream():
    event = {"event_type": "order-placed", "n": 1}
    options = [{"window_ms": 1, "hard_length": 2}, {"window_ms": 3, "hard_length": 2}, {"window_ms": 3}]

    found = [appended("orders", event, **AROUND, once=once_under("orders", KEY, **each)) for each in options]

    assert len({appended("orders", event, **AROUND).packed, *(command.packed for command in found)}) == 4
