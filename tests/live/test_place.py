"""The position of a read loop in a stream that was trimmed, deleted or replaced."""

from synapse.live.query import ReadCursor
from synapse.wire.ids import EntryId

NOTHING = EntryId(0, 0)


def at(*ids):
    place = ReadCursor()
    place.compare(EntryId(5, 0))
    place.advance(EntryId(ms, 0) for ms in ids)
    return place


def test_a_read_loop_begins_at_the_end_of_the_stream():
    assert at().at == EntryId(5, 0)


def test_a_stream_that_grew_meanwhile_is_read_on():
    place = at(6, 7)

    assert not place.compare(EntryId(9, 0))
    assert place.at == EntryId(7, 0)


def test_a_stream_whose_last_id_is_lower_is_read_from_its_beginning():
    place = at(6, 7)

    assert place.compare(EntryId(2, 0))
    assert place.at == NOTHING


def test_a_stream_that_is_gone_begins_anew_once():
    place = at(6, 7)

    assert place.compare(NOTHING)
    assert not place.compare(NOTHING)


def test_a_stream_that_lost_its_newest_entries_is_read_on_from_there():
    place = at(6, 7, 8)

    assert not place.compare(EntryId(6, 0))
    assert place.at == EntryId(6, 0)
