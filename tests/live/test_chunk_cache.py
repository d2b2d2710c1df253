"""A chunk of live events is encoded once for all watchers that get the same bytes."""

import pytest

from synapse.live import Frame
from synapse.live.chunk_cache import LARGEST_BYTES, MOST, ChunkCache
from synapse.live.positions import Positions, encode_position
from synapse.live.sse import ManyStreams, OneStream, Rows
from synapse.wire.ids import EntryId


def frame(stream="orders", ms=5, *, body=b'"data":1}', masked=b""):
    id_ = EntryId(ms, 0)
    return Frame(stream=stream, id=id_, part=encode_position(stream, id_), event_type="", body=body, masked=masked)


@pytest.fixture
def encoded():
    """The chunks that were encoded, in order."""
    return []


@pytest.fixture
def cache(encoded):
    cache = ChunkCache()

    def chunk_of(form, items, chunk=b"chunk"):
        return cache.chunk_of(form, items, lambda: encoded.append(chunk) or chunk)

    return chunk_of


def test_a_chunk_of_the_same_items_and_form_is_encoded_once(cache, encoded):
    items = [frame(), frame(ms=6)]

    assert [cache("a", items), cache("a", list(items))] == [b"chunk"] * 2
    assert encoded == [b"chunk"]


def test_other_items_and_other_forms_are_encoded_for_themselves(cache, encoded):
    first, equal = frame(), frame()

    found = [cache("a", [first], b"1"), cache("b", [first], b"2"), cache("a", [equal], b"3"), cache("a", [], b"4")]

    assert found == encoded == [b"1", b"2", b"3", b"4"]


def test_an_item_that_is_gone_is_never_taken_for_a_later_one_in_its_place(cache):
    found = {cache("a", [frame(ms=ms)], b"%d" % ms) for ms in range(MOST)}

    assert found == {b"%d" % ms for ms in range(MOST)}


def test_large_chunks_are_not_kept(cache, encoded):
    items = [frame()]
    for _ in range(2):
        cache("a", items, b"x" * (LARGEST_BYTES + 1))

    assert len(encoded) == 2


def test_the_oldest_chunk_is_dropped(cache, encoded):
    items = [frame()]
    for form in range(MOST + 1):
        cache(form, items)
    before = len(encoded)

    cache(1, items)
    assert len(encoded) == before
    cache(0, items)
    assert len(encoded) == before + 1


def watcher(**at):
    positions = Positions()
    for stream, ms in at.items():
        positions.set(stream, EntryId(ms, 0))
    return ManyStreams(positions, Rows()), positions


def test_watchers_at_different_positions_get_their_own_ids_and_move_behind_the_same_items():
    items = [frame("orders", 5), frame("refunds", 7)]
    (first, one), (second, two), (like_first, three) = (
        watcher(orders=1, refunds=2),
        watcher(orders=1, refunds=3),
        watcher(orders=1, refunds=2),
    )

    chunks = [each.items(items, personal=True) for each in (first, second, like_first)]

    assert chunks[0] == chunks[2] != chunks[1]
    assert all(each.text == one.text for each in (two, three))
    assert chunks[1].startswith(
        b"id: v1" + encode_position("orders", EntryId(5, 0)) + encode_position("refunds", EntryId(3, 0))
    )


def test_a_watcher_without_the_right_to_pii_never_gets_the_chunk_of_one_who_has_it():
    items = [frame(body=b'"data":"secret"}', masked=b'"data":"***"}')]

    for make in (lambda: watcher(orders=1)[0], lambda: OneStream("orders", watcher(orders=1)[1], Rows())):
        assert b"secret" in make().items(items, personal=True)
        assert b"secret" not in make().items(items, personal=False)
