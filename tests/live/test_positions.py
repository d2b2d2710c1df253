"""The id of frames of a connection that watches many streams."""

import pytest

from synapse.live.positions import LONGEST, MOST_STREAMS, Positions, encode_position, parse_positions
from synapse.live.sse import Frame, Gap
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, LAST, MOST, EntryId
from tests.tables import for_each

FAR = EntryId(1_705_314_600_000, 7)


def positions_of(places, *, of_all=False):
    positions = Positions()
    positions.of_all = of_all
    for stream, id_ in places.items():
        positions.set(stream, id_)
    return positions


def frame(stream, id_):
    return Frame(stream=stream, id=id_, part=encode_position(stream, id_), event_type="", body=b"}")


@pytest.mark.parametrize("of_all", [False, True])
def test_positions_are_read_as_they_were_written(of_all):
    places = {"orders": FAR, "parcels": FIRST, "a" * 100: LAST, "b:c": EntryId(0, 1)}

    found = parse_positions(positions_of(places, of_all=of_all).text.decode())

    assert found.of_all == of_all
    assert {stream: found.position_of(stream) for stream in places} == places
    assert found.position_of("letters") is None


def test_the_longest_positions_fit_into_a_header_and_can_be_read():
    places = {f"stream-{number}": LAST for number in range(MOST_STREAMS)}

    text = positions_of(places, of_all=True).text.decode()

    assert len(text) <= LONGEST
    assert len(parse_positions(text).ids) == MOST_STREAMS


def test_usual_positions_take_some_twenty_characters_a_stream():
    text = positions_of({f"stream-{number}": EntryId(FAR.ms, 0) for number in range(5)}).text

    assert len(text) <= 5 * 22 + 3
    assert text.decode().isprintable()


def test_positions_move_with_what_is_sent_and_leave_out_streams_that_are_not_followed():
    positions = positions_of({"orders": FIRST, "parcels": FIRST})

    first = positions.advance(frame("orders", FAR))
    positions.advance(frame("letters", FAR))
    positions.advance_all([frame("parcels", EntryId(5, 0)), frame("letters", FAR)])
    positions.remove("orders")

    assert parse_positions(first.decode()).position_of("orders") == FAR
    assert parse_positions(positions.text.decode()).ids.keys() == {encode_position("parcels", FIRST)[1:11].decode()}
    assert positions.position_of("parcels") == EntryId(5, 0)


def test_a_stream_that_was_created_again_continues_at_its_beginning():
    positions = positions_of({"orders": FAR})

    positions.advance(Gap(stream="orders", reason="restarted", after=FAR))

    assert positions.position_of("orders") == FIRST


TAG, OTHER = (encode_position(stream, EntryId(1, 0))[1:11].decode() for stream in ("orders", "parcels"))


@for_each(
    "text",
    [
        *("v", "v2", "v1**", "1705314600000-0", "V1", "v1-", " v1", "v1 ", "*"),
        *(
            "v1~",
            "v1~~",
            f"v1~{TAG}",
            f"v1{TAG}1",
            f"v1~{TAG}1-",
            f"v1~{TAG}1-1-1",
            f"v1~{TAG}1~",
            f"v1~{TAG.upper()}1",
        ),
        f"v1~{TAG}1~{TAG}2",
        f"v1~{TAG}{MOST + 1:x}",
        f"v1~{TAG}1-{MOST + 1:x}",
        f"v1~{TAG}\u0661",
        f"v1~{TAG}1\x00",
        "v1" + "".join(f"~{number:010x}1" for number in range(MOST_STREAMS + 1)),
        "v1" + "".join(f"~{number:010x}1" for number in range(5000)),
        "v1" + "~" * 10_000,
        f"v1~{TAG}{'0' * 10_000}1",
    ],
)
def test_a_text_that_no_frame_had_is_refused(text):
    with pytest.raises(BadParameter, match="is not the id of a frame of this route"):
        parse_positions(text)


def test_a_stream_that_came_later_begins_shortly_before_the_newest_position(monkeypatch):
    monkeypatch.setattr("synapse.live.positions._now_ms", lambda: 2_000_000)

    begins = [
        parse_positions(text).start_of_later_stream()
        for text in ("v1*", f"v1*~{TAG}{1_000_000:x}", f"v1*~{TAG}1~{OTHER}{1_500_000:x}", f"v1*~{TAG}{MOST:x}")
    ]

    assert begins == [FIRST, EntryId(990_000, 0), EntryId(1_490_000, 0), EntryId(1_990_000, 0)]
